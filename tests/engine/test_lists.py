"""A model that returns a list of arrays: an output each, or a row each, never mistaken."""

from __future__ import annotations

import foretell
import numpy as np
import pytest

TWO_OUTPUTS = """
def f(x):
    return [x * 2, -x]
"""

A_ROW_EACH = """
import numpy as np
def f(x):
    return [np.full(int(row[0]), row[1]) for row in x]
"""


def source(lengths):
    """Rows of the number of values to return, and which."""
    return np.stack([lengths, np.arange(len(lengths))], axis=1).astype("float32")


def test_two_outputs_of_two_rows_are_refused_before_anything_is_written(bench):
    bench.data(source(np.ones(64)))
    bench.model(TWO_OUTPUTS)
    done = bench.predict(predictor__batch_size=2, schedule__workers=0)
    assert done.code == 2, done.err
    assert "error[output-ambiguous]" in done.err
    assert not bench.store.exists()


@pytest.mark.parametrize("size", [1, 4, 8])
def test_two_outputs_are_two_outputs_at_any_other_batch_size(bench, size):
    data = source(np.ones(64))
    bench.data(data)
    bench.model(TWO_OUTPUTS)
    done = bench.predict(predictor__batch_size=size, schedule__workers=0)
    assert done.code == 0, done.err
    run = bench.opened()
    assert (run["output_0"][:] == data * 2).all()
    assert (run["output_1"][:] == -data).all()


@pytest.mark.parametrize("size", [2, 4])
def test_rows_that_happen_to_be_as_long_as_the_batch_stay_rows(bench, size):
    lengths = np.array([3, 5, 2, 1, *[1] * 4, *[2] * 4, *[4] * 4, 3, 1, 2, 2])
    bench.data(source(lengths))
    bench.model(A_ROW_EACH)
    words = ["--source", "x.npy", "--model", "model:f", "--output", "out.jsonl"]
    sets = {"predictor.batch_size": size, "schedule.workers": 0}
    done = bench.run(bench.command("predict", *words, sets=sets))
    assert done.code == 0, done.err
    found = foretell.open_run(str(bench.folder / "out.jsonl"))["output"][:]
    assert [list(values) for values in found] == [[at] * n for at, n in enumerate(lengths)]
