"""What travels between driver and workers arrives as it was sent."""

from __future__ import annotations

import pickle

from foretell.engine.messages import ChunkReport, ChunkWork, Trouble
from foretell.store.rates import RateMeter


def test_messages_survive_the_journey():
    sent = [
        ChunkWork(3, 2, turn=7, retry=True, sizes=(1, 2), crcs=(3, 4)),
        ChunkReport(3, 2, 12.5, 40, False, troubles=(Trouble("E", "m"),), touched=False, part=1),
    ]
    assert pickle.loads(pickle.dumps(sent)) == sent


def test_the_time_of_a_slow_chunk_is_looked_up_once_a_second():
    now = [0.0]
    meter = RateMeter(lambda: now[0], 1)
    assert meter.slow_chunk() is None
    for seconds in range(1, 101):
        meter.finished(1, 0, float(seconds))
    assert meter.slow_chunk() == 96.0 == meter.rates(0).chunk_p95
    meter.finished(1, 0, 1000.0)
    meter.finished(1, 0, 1000.0)
    for _ in range(10):
        meter.finished(1, 0, 1000.0)
    assert meter.slow_chunk() == 96.0
    now[0] = 1.0
    assert meter.slow_chunk() == 1000.0
