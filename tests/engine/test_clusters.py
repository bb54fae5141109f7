"""Clusters that are not ours: joined schedulers, and any class with Dask's interface."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from workbench import Workbench


def prepare(bench: Workbench) -> np.ndarray:
    data = np.arange(1024, dtype="float32").reshape(512, 2)
    bench.data(data)
    bench.model("def f(x): return {'y': x.sum(1)}\n")
    return data


@contextmanager
def scheduler(bench: Workbench, workers: int) -> Iterator[str]:
    """A real ``dask scheduler`` with real ``dask worker`` processes on loopback."""
    started = []

    def start(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            cwd=bench.folder, env=bench.env, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    try:
        main = start(
            "scheduler", "--host", "127.0.0.1", "--port", "0",
            "--dashboard-address", "127.0.0.1:0", "--no-dashboard",
        )  # fmt: skip
        assert main.stderr is not None
        address = next(
            found[1]
            for line in main.stderr
            if (found := re.search(r"Scheduler at:\s+(tcp://\S+)", line))
        )
        for _ in range(workers):
            start("worker", address, "--nthreads", "3", "--no-dashboard", "--host", "127.0.0.1")
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.communicate(timeout=30)


def test_a_joined_scheduler_runs_it_and_is_left_as_it_was(bench):
    data = prepare(bench)
    with scheduler(bench, workers=2) as address:
        for place in ("one.zarr", "two.zarr"):
            command = [*bench.predict_command(schedule__cluster=address)]
            command[command.index("--output") + 1] = place
            done = bench.run(command)
            assert done.code == 0, done.err
            import foretell

            run = foretell.open_run(str(bench.folder / place))
            assert (run["y"][:] == data.sum(1)).all()


def test_any_class_with_dasks_interface(bench):
    data = prepare(bench)
    done = bench.predict(
        schedule__cluster="distributed:LocalCluster",
        schedule__cluster_options=(
            '{n_workers = 1, threads_per_worker = 2, dashboard_address = "127.0.0.1:0", '
            'host = "127.0.0.1"}'
        ),
    )
    assert done.code == 0, done.err
    assert (bench.opened()["y"][:] == data.sum(1)).all()


def test_a_cluster_that_is_not_there_is_named(bench):
    prepare(bench)
    done = bench.predict(schedule__cluster="tcp://127.0.0.1:9")
    assert done.code == 4
    assert "error[cluster]: the cluster cannot be started or reached" in done.err
    assert "tcp://127.0.0.1:9" in done.err
    wrong = bench.predict(schedule__cluster="distributed:NoSuchCluster")
    assert wrong.code == 4
    assert "the cluster class cannot be loaded" in wrong.err
    assert not bench.store.exists()


def test_the_job_script_for_slurm():
    from dask_jobqueue import SLURMCluster
    from foretell.config.schedule import ScheduleOptions
    from foretell.engine.cluster import start_class

    schedule = ScheduleOptions(
        cluster="dask_jobqueue:SLURMCluster",
        workers=0,
        cluster_options={
            "queue": "gpu",
            "account": "lab",
            "cores": 4,
            "processes": 1,
            "memory": "16GB",
            "walltime": "02:00:00",
            "scheduler_options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"},
        },
    )
    with start_class(schedule) as cluster:
        assert isinstance(cluster, SLURMCluster)
        script = cluster.job_script()
    for line in ("#SBATCH -p gpu", "#SBATCH -A lab", "#SBATCH -t 02:00:00", "--nthreads 4"):
        assert line in script
