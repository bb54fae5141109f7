"""Calls of a service whose host does not answer any more."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
import pytest
from distributed import LocalCluster
from foretell.engine import services
from foretell.engine.services import HOSTED, ROUTES, Caller, Hosted, Routes
from foretell.errors import ServiceLost
from foretell.types import ServiceSpec

RUN, NAME = "a run", "doubler"


class Doubler:
    def double(self, x):
        return {"y": x * 2}


class DeadHost:
    """An address where nobody answers: connections are taken and stay silent, or are cut.

    Attributes:
        asked: Set once somebody tried.
    """

    def __init__(self, cuts):
        self.asked = threading.Event()
        self._cuts = cuts
        self._taken = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            self.asked.set()
            if self._cuts:
                taken.close()
            else:
                self._taken.append(taken)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in [self._socket, *self._taken]:
            one.close()


@pytest.fixture
def worker():
    patient = {"distributed.comm.timeouts.connect": "1h"}
    with (
        dask.config.set(patient),
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
    ):
        yield cluster.workers[0]


@pytest.fixture
def routes(worker, monkeypatch):
    monkeypatch.setattr(services, "get_worker", lambda: worker)
    hosted, routes = Hosted(), Routes()
    hosted.objects[NAME] = Doubler()
    monkeypatch.setitem(HOSTED, RUN, hosted)
    monkeypatch.setitem(ROUTES, RUN, routes)
    yield routes
    hosted.close()


@pytest.fixture(params=[False, True], ids=["silent", "cut"])
def dead(request):
    host = DeadHost(cuts=request.param)
    yield host
    host.close()


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def called(thread, spec):
    return thread.submit(
        Caller(RUN, {NAME: spec}).call, NAME, "double", {"x": np.arange(3)}, 3600.0
    )


def test_a_call_goes_where_the_service_is_now(worker, routes, dead, thread):
    routes.update({NAME: (dead.address, 1)})
    answer = called(thread, ServiceSpec(NAME, "m:Doubler"))
    assert dead.asked.wait(60)
    assert not answer.done()
    routes.update({NAME: (worker.address, 2)})
    assert answer.result(60)["y"].tolist() == [0, 2, 4]


def test_a_call_that_must_not_be_repeated_fails_then(worker, routes, dead, thread):
    routes.update({NAME: (dead.address, 1)})
    answer = called(thread, ServiceSpec(NAME, "m:Doubler", repeatable=False))
    assert dead.asked.wait(60)
    routes.update({NAME: (worker.address, 2)})
    with pytest.raises(ServiceLost, match="must not be repeated"):
        answer.result(60)
