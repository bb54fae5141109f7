"""Clusters we start listen on the loopback interface and nowhere else."""

from __future__ import annotations

import queue

import psutil
import pytest
from foretell.config.schedule import ScheduleOptions
from foretell.engine.cluster import Cluster

LOOPBACK = {"127.0.0.1", "::1"}


def listening() -> set[tuple[int, str, int]]:
    me = psutil.Process()
    return {
        (process.pid, at.laddr.ip, at.laddr.port)
        for process in (me, *me.children(recursive=True))
        for at in process.net_connections("inet")
        if at.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_listens_beyond_loopback(workers: int) -> None:
    before = listening()
    cluster = Cluster(ScheduleOptions(workers=workers), 2, 1, queue.Queue())
    try:
        opened = listening() - before
    finally:
        cluster.close()
    assert opened, "a cluster has at least its scheduler's server"
    assert {address for _, address, _ in opened} <= LOOPBACK


def test_a_taken_port_of_dasks_dashboard_goes_unnoticed(recwarn: pytest.WarningsRecorder) -> None:
    first = Cluster(ScheduleOptions(workers=0), 2, 1, queue.Queue())
    second = Cluster(ScheduleOptions(workers=0), 2, 1, queue.Queue())
    second.close()
    first.close()
    assert not [str(item.message) for item in recwarn if "already in use" in str(item.message)]
