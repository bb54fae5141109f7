"""A worker of a joined cluster, stopped in mid-put, wakes up when the run went on without it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from foretell.store.identity import process_started
from foretell.store.layout import MANIFEST
from foretell.types import ChunkState
from forks import ForkBench
from small_run import CHUNKS, SETTINGS, finished, prepare, tree

PUT = "y/c.*"


class JoinedCluster:
    """A Dask scheduler and two workers of their own, as an administrator starts them."""

    def __init__(self, bench: ForkBench, faulty: dict[str, str]) -> None:
        self.bench = bench
        self.scheduler_file = bench.folder / "scheduler.json"
        self.trace = bench.folder / "trace.txt"
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start("dask_scheduler", {}, "--no-dashboard", "--port", "0")
        for variables in (faulty, {}):
            self._start("dask_worker", variables, "--no-nanny", "--no-dashboard", "--nthreads", "3")
        self.faulty = self.processes[1]

    def _start(self, module: str, variables: dict[str, str], *words: str) -> None:
        place = ["--host", "127.0.0.1", "--scheduler-file", str(self.scheduler_file)]
        command = [sys.executable, "-m", f"distributed.cli.{module}", *place, *words]
        with open(self.bench.folder / "cluster.txt", "ab") as said:
            self.processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.bench.folder,
                    env=self.bench.env | variables,
                    stdout=said,
                    stderr=said,
                )
            )

    @property
    def address(self) -> str:
        until(self.scheduler_file.exists)
        until(lambda: self.scheduler_file.read_text().endswith("}"))
        return str(json.loads(self.scheduler_file.read_text())["address"])

    def close(self) -> None:
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come; the test's own timeout ends a wait in vain."""
    while not condition():
        time.sleep(0.01)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def cluster(fork_bench: ForkBench) -> Iterator[JoinedCluster]:
    mark = fork_bench.folder / "stopped.mark"
    manifest = fork_bench.store / MANIFEST
    faulty = {
        "FORETELL_TESTING_FAULT": f"op=put-staged,key={PUT},do=stop",
        "FORETELL_TESTING_FAULT_MARK": str(mark),
        "FORETELL_TESTING_TRACE": str(fork_bench.folder / "trace.txt"),
    }
    prepare(fork_bench)
    joined = JoinedCluster(fork_bench, faulty)
    # Past the dry batch, which comes before the manifest, only the faulty worker computes until it
    # is stopped. A first chunk that another one finished would show that chunks are short, and all
    # that are left could go to it in one task.
    fork_bench.model(
        f"""
import os, time
def f(x):
    others = os.getpid() != {joined.faulty.pid} and os.path.exists({str(manifest)!r})
    while others and not os.path.exists({str(mark)!r}):
        time.sleep(0.01)
    return {{"y": x * 2, "z": x.sum(1)}}
"""
    )
    yield joined
    joined.close()


@pytest.fixture
def expected(fork_bench: ForkBench, forks, tmp_path_factory) -> dict[str, bytes]:
    bench = ForkBench(tmp_path_factory.mktemp("reference"), forks=forks)
    prepare(bench)
    assert bench.predict(**SETTINGS).code == 0
    return bench.outputs()


def test_a_late_put_changes_no_stored_byte(fork_bench, cluster, expected):
    bench = fork_bench
    settings = SETTINGS | {"schedule__cluster": cluster.address, "schedule__workers": 2}
    first = bench.start(bench.predict_command(**settings))
    until(lambda: (bench.folder / "stopped.mark").exists() or first.poll() is not None)
    until(lambda: first.poll() is not None or state_of(cluster.faulty.pid) == "T")
    assert first.poll() is None, (bench.folder / "messages.txt").read_text()
    staged = [path for path in bench.leftovers() if "/stage/" in path]
    assert staged, "the worker was not stopped in mid-put"
    first.kill()
    first.wait(30)

    second = bench.predict(**settings)
    assert second.code == 0, second.err
    assert state_of(cluster.faulty.pid) == "T"
    table = bench.opened().snapshot.table
    assert (table.state == ChunkState.DONE).all()
    faulty = {w.index for w in table.workers if w.pid == cluster.faulty.pid}
    key = (bench.folder / "stopped.mark").read_text().split()[-1]
    chunk = int(key.split(".")[1])
    assert table.worker[chunk] not in faulty
    assert process_started(cluster.faulty.pid) is not None
    before = tree(bench.store)

    cluster.faulty.send_signal(signal.SIGCONT)
    # It is past its put when it asks the storage for nothing any more and answers again.
    until(lambda: answered(cluster))
    assert tree(bench.store) == before
    operations = cluster.trace.read_text().splitlines()
    assert [line for line in operations if line.endswith(f"put-staged {key}")]
    assert not [line for line in operations if line.endswith(f"put-done {key}")]
    assert len(table.state) == CHUNKS
    stop(cluster)
    finished(bench, expected)


IDLE = """
import os, sys
from distributed import Client
def tell(dask_worker):
    return os.getpid(), dask_worker.state.executing_count
with Client(sys.argv[1], timeout=60) as client:
    print(dict(client.run(tell).values())[int(sys.argv[2])] == 0)
"""


def answered(cluster: JoinedCluster) -> bool:
    """Whether the worker that was stopped is awake, and past every task it had."""
    command = [sys.executable, "-c", IDLE, cluster.address, str(cluster.faulty.pid)]
    done = subprocess.run(
        command, env=cluster.bench.env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return "True" in done.stdout


def stop(cluster: JoinedCluster) -> None:
    cluster.close()
    assert all(process.poll() is not None for process in cluster.processes)
