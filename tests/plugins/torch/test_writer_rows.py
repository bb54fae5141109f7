"""The writer's book-keeping of rows against slow models of it."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch
from foretell.store.open import open_objects
from foretell_torch.writer.commits import Commits
from foretell_torch.writer.flatten import flatten, plain
from foretell_torch.writer.opened import Spares
from foretell_torch.writer.places import (
    GAP,
    MISSING,
    Part,
    as_index,
    as_numbers,
    as_range,
    count_missing,
    places_by_count,
    places_by_index,
)
from foretell_torch.writer.record import LoaderRecord, Record
from foretell_torch.writer.rows import RowSet
from foretell_torch.writer.spool import SPOOL, Spool, read_segments

ROWS = 40
RECORD = Record("zarr", "epoch", 1, "rank", "m", (LoaderRecord("index", 10_000, "Rows"),))

runs = st.builds(
    lambda first, step, count: list(range(first, ROWS, step))[:count],
    st.integers(0, ROWS - 1),
    st.integers(1, 5),
    st.integers(0, 20),
)
any_rows = st.one_of(runs, st.lists(st.integers(0, ROWS - 1), max_size=12))


def part(position, rank, rows, gaps=()):
    return Part(
        position, rank, as_range(np.array(rows, np.int64)), as_range(np.array(gaps, np.int64))
    )


def model_of(parts, n_rows):
    """(segment, offset) by row: of a row stored twice the first counts, a gap if there is none."""
    found = {row: (GAP, 0) for _, _, gaps in parts for row in gaps}
    for position, rows, _ in reversed(parts):
        for offset, row in reversed(list(enumerate(rows))):
            found[row] = (position, offset)
    return [found.get(row, (MISSING, 0)) for row in range(n_rows)]


def pairs(window):
    return list(zip(window.segment.tolist(), window.offset.tolist(), strict=True))


@given(
    st.lists(st.tuples(any_rows, runs), max_size=5),
    st.lists(st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)).map(sorted), max_size=4),
)
def test_places_of_rows_with_an_index(parts, windows):
    numbered = [(position, rows, gaps) for position, (rows, gaps) in enumerate(parts)]
    expected = model_of(numbered, ROWS)
    places = places_by_index([part(at, 0, rows, gaps) for at, rows, gaps in numbered], ROWS)
    assert len(places) == ROWS
    assert pairs(places.window(0, ROWS)) == expected
    for start, stop in windows:
        assert pairs(places.window(start, stop)) == expected[start:stop]
    assert count_missing(places) == sum(at == MISSING for at, _ in expected)


@given(
    st.lists(st.lists(st.integers(1, 6), max_size=4), min_size=1, max_size=4),
    st.sampled_from(["rank", "turns"]),
    st.randoms(use_true_random=False),
)
def test_places_of_counted_rows(sizes, order, random):
    parts, each = [], []
    for rank, counts in enumerate(sizes):
        n = 0
        mine = []
        for size in counts:
            rows = list(range(n, n + size))
            n += size
            mine.append((rank, rows))
        random.shuffle(mine)
        parts += mine
        each.append(n)
    places, counts = places_by_count(
        [part(at, rank, rows) for at, (rank, rows) in enumerate(parts)], len(sizes), order
    )
    assert counts == tuple(each)
    known = [(rank, n) for rank, count in enumerate(each) for n in range(count)]
    if order == "turns":
        known.sort(key=lambda pair: (pair[1], pair[0]))
    where = {
        (rank, row): (at, offset)
        for at, (rank, rows) in enumerate(parts)
        for offset, row in enumerate(rows)
    }
    for start, stop in ((0, len(known)), (len(known) // 3, len(known) // 2 + 1)):
        stop = min(stop, len(known))
        window = places.window(start, stop)
        assert window.rank is not None
        assert window.number is not None
        chosen = list(zip(window.rank.tolist(), window.number.tolist(), strict=True))
        assert chosen == known[start:stop]
        assert pairs(window) == [where[pair] for pair in known[start:stop]]


@given(st.lists(st.integers(0, 30), max_size=10))
def test_an_index_names_the_same_elements(at):
    values = np.arange(31) * 7
    indices = np.array(at, np.int64)
    np.testing.assert_array_equal(values[as_index(indices)], values[indices])


some_rows = st.one_of(
    st.lists(st.integers(0, 200_000), unique=True, max_size=8).map(lambda r: np.array(r, np.int64)),
    st.builds(
        lambda first, step, count: range(first, first + step * count, step),
        st.one_of(st.integers(0, 300), st.integers(0, 200_000)),
        st.integers(1, 3),
        st.integers(0, 200),
    ),
)


@given(st.lists(some_rows, max_size=12))
def test_a_set_of_rows_is_a_set(batches):
    found, model = RowSet(), set()
    for rows in batches:
        batch = as_numbers(rows).tolist()
        expected = [row not in model for row in batch]
        assert found.holds(as_numbers(rows)).tolist() == [not new for new in expected]
        new = found.fresh(rows)
        assert ([True] * len(batch) if new is None else new.tolist()) == expected
        model |= set(batch)
        assert len(found) == len(model)
    assert found.missing(300).tolist() == [row for row in range(300) if row not in model]


def test_a_set_of_consecutive_rows_takes_no_room():
    found = RowSet()
    for start in range(0, 1_000_000, 512):
        assert found.fresh(range(start, start + 512)) is None
    assert len(found) >= 1_000_000
    assert len(found._flags) < 150_000


@given(st.lists(some_rows.filter(len), max_size=6), st.sampled_from([0, 2, 3]))
def test_a_block_tells_which_rows_were_put_into_it(batches, reused):
    def outputs(rows):
        return {"y": as_numbers(rows).astype("float32")}

    capacity = sum(map(len, batches)) + 1
    spares = Spares()
    if reused:
        before = spares.block(outputs(range(1)), capacity - 1 + reused)
        two = range(7, 9)
        assert before.take(two if reused == 2 else as_numbers(two), outputs(two))
        spares.add([before])
    block = spares.block(outputs(range(1)), capacity)
    assert reused == 0 or block is before
    for rows in batches:
        assert block.take(rows, outputs(rows))
    assert not block.take(range(2), outputs(range(2)))
    found, arrays = block.filled()
    expected = [row for rows in batches for row in as_numbers(rows).tolist()]
    assert list(found) == expected
    assert arrays["y"].tolist() == expected


@pytest.mark.parametrize(
    "prediction",
    [
        torch.arange(6.0).reshape(3, 2),
        {"y": torch.ones(3), "deep": {"z": torch.zeros(3, 2, dtype=torch.int32)}},
        {"y": torch.ones(3, requires_grad=True).detach()},
    ],
)
def test_the_quick_way_gives_what_the_long_one_gives(prediction):
    expected = flatten(prediction, 3, "here")
    dtypes = {name: values.dtype for name, values in expected.items()}
    for n_rows in (3, None):
        found = plain(prediction, n_rows, dtypes)
        assert found is not None
        assert list(found) == list(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize(
    "prediction",
    [
        {"y": torch.ones(2)},
        {"y": torch.ones(3).double()},
        {"y": torch.ones(3), "z": torch.ones(3)},
        {"y": torch.tensor(1.0)},
        {"y": torch.ones(3, requires_grad=True)},
        {"y": torch.ones(3).bfloat16()},
        {"y": torch.ones(3).to_sparse()},
        {"y": [1.0, 1.0, 1.0]},
        {"y": None},
        OrderedDict(y=torch.ones(3)),
        (torch.ones(3),),
    ],
)
def test_the_quick_way_leaves_the_rest_alone(prediction):
    assert plain(prediction, 3, {"y": np.dtype("float32")}) is None


def test_what_was_added_may_be_changed_afterwards(tmp_path):
    objects = open_objects(str(tmp_path))
    objects.ensure_root()
    none = Commits(objects, RECORD, (), 1)
    spool = Spool(objects, SPOOL, 0, bytes_per_segment=10_000, by_time=False, commits=none)
    reused = np.zeros((4, 2), "float32")
    for number in range(10):
        reused[:] = number
        spool.add(0, np.arange(4 * number, 4 * number + 4), {"y": reused})
    spool.flush()
    spool.close()
    ((_, segment),) = read_segments(objects, SPOOL)
    assert list(segment.rows) == list(range(40))
    assert segment.arrays["y"][:, 1].tolist() == np.repeat(np.arange(10.0), 4).tolist()


def test_batches_of_any_size_and_shape_fill_one_segment(tmp_path):
    objects = open_objects(str(tmp_path))
    objects.ensure_root()
    none = Commits(objects, RECORD, (), 1)
    spool = Spool(objects, SPOOL, 0, bytes_per_segment=2_000, by_time=False, commits=none)
    sizes, first, texts = [(2, 3), (9, 3), (400, 1), (1, 3), (2, 3)], 0, []
    for count, width in sizes:
        texts += [f"row {first + n}" for n in range(count)]
        values = {
            "y": np.full((count, width), count, "int16"),
            "name": np.array(texts[first:], dtype=object),
        }
        spool.add(0, np.arange(first, first + count), values)
        first += count
    spool.flush()
    spool.close()
    segments = [segment for _, segment in read_segments(objects, SPOOL)]
    assert np.concatenate([s.rows for s in segments]).tolist() == list(range(first))
    assert np.concatenate([s.arrays["name"] for s in segments]).tolist() == texts
    counts = np.repeat([count for count, _ in sizes], [count for count, _ in sizes])
    assert np.concatenate([s.arrays["y"][:, 0] for s in segments]).tolist() == counts.tolist()
