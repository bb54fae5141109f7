"""Watching a run in a bucket: what a look costs there."""

import pytest
from foretell.types import RunState
from synthetic_runs import lines, make_run
from watching import looked, reader_of

pytestmark = pytest.mark.s3


def test_a_look_at_a_bucket_costs_little_and_lists_nothing(tmp_path, s3):
    run = make_run(tmp_path / "run", 300, objects=s3)
    run.done(range(100))
    run.samples()
    lines(run)
    run.write_head()
    reader = reader_of(s3)
    view = looked(reader)
    assert view.word == "RUNNING"
    assert view.totals.done == 100
    assert len(view.reading.log) == 12
    idle = reader.look().cost
    assert (idle.requests, idle.bytes) == (1, 0)
    for step in range(4):
        run.done(range(100 + step * 20, 120 + step * 20))
        run.samples()
        run.write_head()
        cost = reader.look().cost
        assert cost.requests <= 2 + 2 + 1
        assert cost.bytes < 16_384
    run.end(RunState.INTERRUPTED, 75)
    assert looked(reader).word == "INTERRUPTED"
    assert reader.objects.lists == 0
