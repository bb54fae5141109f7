"""Workers that come or go in the very moment in which a driver connects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from distributed import Client, LocalCluster
from foretell.engine.attendance import Attendance


class Heard:
    """What was told, in order, and a way to wait for it."""

    def __init__(self) -> None:
        self.present: list[str] = []
        self.told: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def joined(self, address: str) -> None:
        with self._changed:
            self.told.append(("joined", address))
            if address not in self.present:
                self.present.append(address)
            self._changed.notify_all()

    def left(self, address: str) -> None:
        with self._changed:
            self.told.append(("left", address))
            if address in self.present:
                self.present.remove(address)
            self._changed.notify_all()

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.present) == count, timeout=30)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=1, processes=False, dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        worker_dashboard_address="127.0.0.1:0", silence_logs=False,
    ) as cluster:  # fmt: skip
        yield cluster


@pytest.fixture
def client(cluster) -> Iterator[Client]:
    with Client(cluster, set_as_default=False) as client:
        yield client


def test_who_is_there_who_comes_and_who_goes(cluster, client):
    heard = Heard()
    Attendance(client, heard.joined, heard.left)
    assert heard.present == list(cluster.scheduler.workers)
    cluster.scale(2)
    assert heard.wait_for(2)
    cluster.scale(0)
    assert heard.wait_for(0)


def test_a_worker_that_comes_before_the_subscription_stands(cluster, client, monkeypatch):
    """The word to subscribe is slow; a worker comes after the list could have been asked for."""
    send = client._send_to_scheduler
    held: list[dict[str, Any]] = []

    def slowly(message: dict[str, Any]) -> None:
        if message["op"] != "subscribe-topic":
            send(message)
            return
        held.append(message)
        if len(held) == 2:
            cluster.scale(2)
            client.wait_for_workers(2)
            for one in held:
                send(one)

    monkeypatch.setattr(client, "_send_to_scheduler", slowly)
    heard = Heard()
    Attendance(client, heard.joined, heard.left)
    assert sorted(heard.present) == sorted(cluster.scheduler.workers)
    assert len(heard.present) == 2


def test_a_worker_that_goes_while_the_list_is_on_its_way(cluster, client, monkeypatch):
    ask = client.scheduler_info
    heard = Heard()
    gone = threading.Event()

    def left(address: str) -> None:
        heard.left(address)
        gone.set()

    def late(**words: Any) -> Any:
        answer = dict(ask(**words))
        cluster.scale(0)
        assert gone.wait(30)
        return answer

    monkeypatch.setattr(client, "scheduler_info", late)
    Attendance(client, heard.joined, left)
    assert heard.present == []
    assert [what for what, _ in heard.told] == ["left"]
