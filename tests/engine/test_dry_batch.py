"""What the dry batch costs: a chunk that is set needs no timing."""

from __future__ import annotations

import numpy as np

MODEL = """
def f(x):
    with open("calls", "a") as log:
        log.write("x")
    return {"y": x.sum(1)}
"""


def test_with_a_chunk_that_is_set_the_model_is_called_once_before_the_run(bench):
    bench.data(np.ones((256, 2), dtype="float32"))
    bench.model(MODEL)
    done = bench.predict(schedule__workers=0, schedule__chunk=64, predictor__batch_size=64)
    assert done.code == 0, done.err
    assert len((bench.folder / "calls").read_text()) == 1 + 4
