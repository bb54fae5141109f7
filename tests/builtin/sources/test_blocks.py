import threading
from functools import partial

import pytest
from foretell.builtin.sources.blocks import BlockCache


def test_keeps_what_was_used_last():
    cache, loads = BlockCache(len, limit=30), []

    def load(key):
        loads.append(key)
        return bytes(10)

    for key in [0, 1, 2, 0, 3, 0, 1]:
        cache.get(key, partial(load, key))
    assert loads == [0, 1, 2, 3, 1]


def test_two_blocks_are_kept_however_large():
    cache, loads = BlockCache(len, limit=1), []

    def load(key):
        loads.append(key)
        return bytes(100)

    for key in [0, 1, 0, 1, 2, 1, 0]:
        cache.get(key, partial(load, key))
    assert loads == [0, 1, 2, 0]


def test_a_failed_block_is_tried_again():
    cache = BlockCache(len)

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.get("a", fail)
    assert cache.get("a", lambda: b"yes") == b"yes"


def test_threads_wait_for_the_one_that_decodes():
    cache = BlockCache(len)
    started, go, loads = threading.Event(), threading.Event(), []

    def slow():
        loads.append(1)
        started.set()
        assert go.wait(30)
        return b"block"

    got = []
    threads = [threading.Thread(target=lambda: got.append(cache.get("a", slow))) for _ in range(4)]
    threads[0].start()
    assert started.wait(30)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert got == [b"block"] * 4
    assert loads == [1]


def test_clearing_forgets_what_is_kept_but_not_what_is_on_its_way():
    cache = BlockCache(len)
    pending = cache.claim("slow")
    cache.get("a", lambda: b"one")
    cache.clear()
    assert cache.get("a", lambda: b"two") == b"two"
    cache.fulfil(pending, b"late")
    assert cache.get("slow", lambda: b"again") == b"late"
