"""The prediction writer stopped, failed and killed anywhere: it loses no row."""

import numpy as np
import pytest
from foretell.errors import StorageError

pytest.importorskip("torch")
pytest.importorskip("lightning")
from committing import CHUNK_BYTES, EPOCH, SLOW, check
from foretell.store.objects import set_fault_hook
from foretell_torch import read_predictions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trainer_run import predict
from writing import rows, script, stored_of

# Lightning's advice on numbers of workers and the like, which is Lightning's own.
pytestmark = [
    pytest.mark.filterwarnings("default:::lightning", "ignore::UserWarning"),
    pytest.mark.usefixtures("small_chunks"),
]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    n=st.integers(1, 90),
    batch_size=st.integers(1, 40),
    none_at=st.sets(st.integers(0, 12), max_size=2),
    fail_at=st.integers(0, 12),
    remaining=st.booleans(),
    writer=st.sampled_from([EPOCH, SLOW]),
)
def test_any_batches_stopped_anywhere(
    tmp_path_factory, n, batch_size, none_at, fail_at, remaining, writer
):
    out = tmp_path_factory.mktemp("any") / "out"
    spec = {"n": n, "batch_size": batch_size}
    try:
        predict(out, [spec], {"none_at": none_at, "fail_at": fail_at}, writer=writer)
    except RuntimeError:
        stored = set(stored_of(out).tolist())
        assert stored <= set(range(fail_at * batch_size))
        predict(out, [{**spec, "remaining": remaining}], {"none_at": none_at}, writer=writer)
    found = read_predictions(out)
    kept = found.valid == 1
    if kept.any():
        np.testing.assert_array_equal(found["y"][kept], rows(n)[kept])
    if not remaining:
        gaps = {at // batch_size for at in np.flatnonzero(~kept).tolist()}
        assert gaps <= none_at


def _operations(out, writer):
    """How many operations the stores of a run have."""
    count = 0

    def counted(operation, key):
        nonlocal count
        count += 1

    set_fault_hook(counted)
    try:
        predict(out, [{"n": 70, "batch_size": 5}], writer=writer)
    finally:
        set_fault_hook(None)
    return count


@pytest.mark.parametrize("writer", [EPOCH, SLOW], ids=["fast", "slow"])
@pytest.mark.parametrize(
    "first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))]
)
def test_an_error_at_any_operation_loses_nothing(tmp_path, writer, first):
    operations = _operations(tmp_path / "whole", writer)
    assert operations > 50
    for number in range(first, operations + 5, 4):
        out = tmp_path / str(number)
        met = 0

        def fails(operation, key, number=number):
            nonlocal met
            met += 1
            if met == number:
                raise OSError(5, "planted")

        set_fault_hook(fails)
        try:
            predict(out, [{"n": 70, "batch_size": 5}], writer=writer)
        except StorageError:
            pass
        finally:
            set_fault_hook(None)
        predict(out, [{"n": 70, "batch_size": 5, "remaining": number % 2 == 0}], writer=writer)
        check(out, 70)


KILLS: list[tuple[str, int, dict[str, object]]] = [("put-staged", 7, EPOCH), ("delete", 2, SLOW)]
ALL_KILLS = [("any", n, EPOCH) for n in range(1, 120, 4)]
ALL_KILLS += [("any", n, SLOW) for n in range(30, 170, 5)]


@pytest.mark.parametrize(
    ("operation", "number", "writer"),
    [*KILLS, *(pytest.param(*kill, marks=pytest.mark.slow) for kill in ALL_KILLS)],
)
def test_killed_at_an_operation(out, monkeypatch, operation, number, writer):
    spec = [{"n": 70, "batch_size": 5}]
    monkeypatch.setenv("FORETELL_TESTING_FAULT", f"op={operation},n={number},do=kill")
    script(1, out=out, spec=spec, writer=writer, chunk_bytes=CHUNK_BYTES)
    monkeypatch.delenv("FORETELL_TESTING_FAULT")
    predict(out, [{**spec[0], "remaining": True}], writer=writer)
    check(out, 70)
