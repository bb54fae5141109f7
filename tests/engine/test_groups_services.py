"""Processes that act as one, services that outlive their host, devices that run out of memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


def source_rows(count: int) -> np.ndarray:
    return np.arange(count * 2, dtype="float32").reshape(count, 2)


@pytest.mark.parametrize("share", ["split", "same"])
@pytest.mark.parametrize("count", [512, 300, 257])
def test_a_group_of_two_writes_every_row_once(bench, share, count):
    bench.data(source_rows(count))
    bench.model("def f(x, rows): return {'y': x.sum(1), 'row': rows}\n")
    done = bench.predict(
        deployer__kind="group", deployer__rows=share, schedule__workers=2, schedule__chunk=128
    )
    assert done.code == 0, done.err
    run = bench.opened()
    assert (run["row"][:] == np.arange(count)).all()
    assert (run["y"][:] == source_rows(count).sum(1)).all()
    bench.verified()


def test_the_death_of_one_member_restarts_the_group_and_loses_nothing(bench):
    bench.data(source_rows(512))
    bench.model("def f(x, rows): return {'y': x.sum(1)}\n")
    marker = bench.folder / "died"
    done = bench.predict(
        deployer__kind="group",
        deployer__die_at=330,
        deployer__marker=json.dumps(str(marker)),
        schedule__workers=2,
        schedule__chunk=128,
    )
    assert done.code == 0, done.err
    assert marker.exists()
    assert (bench.opened()["y"][:] == source_rows(512).sum(1)).all()
    generations = {record.index for record in bench.opened().snapshot.table.workers}
    assert len(generations) >= 4  # both members came back, under new numbers
    bench.verified()


def test_a_lost_service_comes_back_and_the_call_is_sent_again(bench):
    bench.data(source_rows(1024))
    bench.model("def f(x): return x\n")
    marker = bench.folder / "died"
    done = bench.predict(
        deployer__kind="service",
        deployer__die_at=600,
        deployer__marker=json.dumps(str(marker)),
        schedule__workers=2,
    )
    assert done.code == 0, done.err
    assert marker.exists()
    assert (bench.opened()["y"][:] == source_rows(1024) * 2).all()
    assert "runs again" in bench.sdk("logs", str(bench.store)).out
    bench.verified()


@pytest.mark.parametrize("said", ["deployer__repeatable=false", "deployer__once=true"])
def test_a_call_that_must_not_be_repeated_is_not(bench, said):
    bench.data(source_rows(1024))
    bench.model("def f(x): return x\n")
    done = bench.predict(
        deployer__kind="service",
        **dict([said.split("=")]),
        deployer__count=1,
        deployer__die_at=600,
        deployer__marker=json.dumps(str(bench.folder / "died")),
        schedule__workers=2,
        schedule__max_failed=1024,
    )
    # The one lost call fails its rows or its chunk; whatever was repeated was repeated by us.
    assert done.code in (0, 3), done.err
    run = bench.opened()
    predicted = run.valid[:] == 1
    assert (run["y"].filled()[:][predicted] == (source_rows(1024) * 2)[predicted]).all()


def test_a_service_waits_for_a_worker_with_room(bench):
    bench.data(source_rows(1024))
    bench.model("def f(x): return x\n")
    marker = bench.folder / "died"
    done = bench.predict(
        deployer__kind="service",
        deployer__budget=1,
        deployer__die_at=600,
        deployer__marker=json.dumps(str(marker)),
        schedule__workers=2,
    )
    assert done.code == 0, done.err
    assert marker.exists()
    assert (bench.opened()["y"][:] == source_rows(1024) * 2).all()
    logs = bench.sdk("logs", str(bench.store)).out
    homes = [line.rsplit(" on ", 1)[1] for line in logs.splitlines() if "runs again" in line]
    hosts = {worker["address"] for worker in bench.json("status", str(bench.store))["workers"]}
    assert len(homes) == 1  # not with the survivor, which is full: with the one that came for it
    assert homes[0] in hosts


def test_services_that_never_fit_are_refused(bench):
    bench.data(source_rows(64))
    bench.model("def f(x): return x\n")
    done = bench.predict(deployer__kind="service", deployer__budget=1, schedule__workers=1)
    assert done.code == 4, done.err
    assert "no worker has room for service 'doubler-1'" in done.err
    assert not bench.store.exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_the_last_figures_of_every_deployment_are_recorded(bench, workers, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4242")
    bench.data(source_rows(1024))
    bench.model("def f(x): return x\n")
    done = bench.predict(deployer__kind="service", schedule__workers=workers)
    assert done.code == 0, done.err
    recorded = bench.json("status", str(bench.store))["workers"]
    assert len(recorded) == max(1, workers)
    assert {worker["job"] for worker in recorded} == {"4242"}
    # One call for each of the 16 chunks; the dry batch made one more.
    assert sum(worker["deployment"]["calls"] for worker in recorded) in (16, 17)


def test_out_of_memory_halves_the_batch_once_and_remembers(bench):
    bench.data(source_rows(1024))
    bench.model("def f(x): return {'y': x.sum(1)}\n")
    log = bench.folder / "launches"
    done = bench.predict(
        deployer__kind="tight",
        deployer__holds=16,
        deployer__log=json.dumps(str(log)),
        schedule__chunk=128,
        predictor__batch_size=128,
    )
    assert done.code == 0, done.err
    assert (bench.opened()["y"][:] == source_rows(1024).sum(1)).all()
    sizes = [int(line) for line in Path(log).read_text().split()]
    assert [size for size in sizes if size > 16] == [128, 64, 32]  # one lost per split, ever
    assert (bench.opened().snapshot.table.splits > 0).any()


def test_what_a_deployment_counted_is_in_the_record_of_a_short_run(bench):
    bench.data(source_rows(256))
    bench.model("def f(x): return {'y': x.sum(1)}\n")
    log = json.dumps(str(bench.folder / "launches"))
    done = bench.predict(deployer__kind="tight", deployer__log=log)
    assert done.code == 0, done.err
    assert "a device for 64 rows was found" in done.err
    workers = json.loads((bench.store / "_run" / "workers.json").read_text())["workers"]
    assert [worker["deployment"]["launches"] for worker in workers] == [5]  # one dry, four chunks


def test_a_plan_says_what_the_deployment_says_of_itself(bench):
    bench.data(source_rows(64))
    bench.model("def f(x): return {'y': x.sum(1)}\n")
    log = f"--set=deployer.log={json.dumps(str(bench.folder / 'launches'))}"
    words = ["plan", "--no-probe", "--sharding", "--source", "x.npy", "--model", "model:f"]
    words += ["--output", str(bench.store), "--set=deployer.kind=tight", log]
    shown = bench.sdk(*words)
    assert shown.code == 0, shown.err
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["holds", "64", "rows"] in lines
    assert ["found", "a", "device", "for", "64", "rows", "was", "found"] in lines
    assert lines[-2:] == [
        ["parameter", "spec", "bytes", "per", "device"],
        ["a/b", "(x)", "12,345"],
    ]
    forecast = bench.json(*words)["forecast"]
    assert forecast["sharding"] == [{"parameter": "a/b", "spec": "(x)", "bytes_per_device": 12_345}]
    assert bench.sdk(
        *(w for w in words if w != "--set=deployer.kind=tight" and w != log)
    ).out.endswith("sharding: the deployer splits no parameters\n")
