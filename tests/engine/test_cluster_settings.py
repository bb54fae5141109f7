"""What our clusters are told before they start."""

from __future__ import annotations

import queue
from typing import Any

import dask
import pytest
from dask.utils import parse_timedelta
from foretell.config.schedule import ScheduleOptions
from foretell.engine.cluster import Cluster
from foretell.engine.driver import WORKER_WAIT


@pytest.fixture
def start(monkeypatch, tmp_path):
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(tmp_path))
    started: list[Cluster] = []

    def make() -> Cluster:
        inbox: queue.Queue[Any] = queue.Queue()
        started.append(Cluster(ScheduleOptions(workers=0), 1, 1, inbox))
        return started[-1]

    yield make
    for cluster in reversed(started):
        cluster.close()


def test_no_worker_is_given_up_before_the_run_is(start):
    start()
    patience = parse_timedelta(dask.config.get("distributed.deploy.lost-worker-timeout"))
    assert patience > 10 * WORKER_WAIT


def test_an_idle_cluster_leaves_the_cores_to_the_model(start):
    start()
    for name in ("tick", "system-monitor"):
        interval = dask.config.get(f"distributed.admin.{name}.interval")
        assert parse_timedelta(interval) >= 0.5
    limit = parse_timedelta(dask.config.get("distributed.admin.tick.limit"))
    assert limit > 2 * parse_timedelta(dask.config.get("distributed.admin.tick.interval"))
