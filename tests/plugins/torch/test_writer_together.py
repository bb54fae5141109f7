"""What rank 0 does alone while the other ranks wait, however long it takes."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from foretell.errors import StorageError, StoreError
from foretell_torch.writer import together
from foretell_torch.writer.together import by_first


class Ranks:
    """Two ranks of a strategy in one process: what rank 0 broadcasts, rank 1 gets, one at a time.

    Attributes:
        heard: What rank 1 got.
    """

    def __init__(self):
        self.heard = []
        self._said: queue.Queue[str] = queue.Queue(maxsize=1)

    def trainer(self, rank):
        strategy = SimpleNamespace(broadcast=self._say if rank == 0 else self._hear)
        return SimpleNamespace(world_size=2, global_rank=rank, strategy=strategy)

    def _say(self, text):
        self._said.put(text)
        return text

    def _hear(self, nothing):
        self.heard.append(self._said.get())
        return self.heard[-1]


@pytest.fixture
def ranks():
    return Ranks()


@pytest.fixture
def second(ranks):
    """Rank 1, waiting; its outcome."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(by_first, ranks.trainer(1), pytest.fail, pytest.fail)


def test_others_hear_that_the_first_is_at_work(ranks, second, monkeypatch):
    monkeypatch.setattr(together, "PATIENCE", 0.001)
    asked_often = threading.Event()
    say = ranks._say

    def counted(text):
        if len(ranks.heard) >= 3:
            asked_often.set()
        return say(text)

    monkeypatch.setattr(ranks, "_say", counted)
    done = []

    def work():
        assert asked_often.wait(60)
        assert not second.done()
        done.append(True)

    by_first(ranks.trainer(0), work, pytest.fail)
    assert done
    assert second.result(60) is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StorageError("the disk is full", facts=[("free", "0 bytes")]), "the disk is full"),
        (RuntimeError("done"), "RuntimeError: done"),
    ],
)
def test_others_are_told_that_the_first_failed(ranks, second, error, told):
    def work():
        raise error

    with pytest.raises(type(error)) as caught:
        by_first(ranks.trainer(0), work, pytest.fail)
    assert caught.value is error
    with pytest.raises(StoreError, match="rank 0 could not finish") as others:
        second.result(60)
    assert ("rank 0", told) in others.value.facts


def test_an_interrupted_first_stops_its_work(ranks, monkeypatch):
    monkeypatch.setattr(together, "PATIENCE", 0.001)
    stop = threading.Event()
    ended = []

    def interrupted(text):
        raise KeyboardInterrupt

    trainer = ranks.trainer(0)
    trainer.strategy.broadcast = interrupted
    with pytest.raises(KeyboardInterrupt):
        by_first(trainer, lambda: ended.append(stop.wait(60)), stop.set)
    assert ended == [True]


def test_a_single_process_does_it_itself():
    threads = []
    trainer = SimpleNamespace(world_size=1, global_rank=0)
    by_first(trainer, lambda: threads.append(threading.current_thread()), pytest.fail)
    assert threads == [threading.current_thread()]
