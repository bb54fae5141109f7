"""Two runs side by side: equal ones are equal, and every way to differ is seen."""

import json
from dataclasses import replace

import foretell
import numpy as np
import pytest
from foretell.errors import NotARun, StoreError
from foretell.plugins.manager import load_plugins
from foretell.store.compare import compare, flattened, with_values
from foretell.store.compare_bytes import differing_chunks
from foretell.store.compare_values import difference
from foretell.store.open import open_objects
from foretell.store.rings import write_workers
from foretell.store.sides import covered, side_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

PLUGINS = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"})
ROWS = np.arange(60, dtype="f4")


class Model:
    """``y = factor x``, text beside it; one row can be refused, one value spoilt."""

    def __init__(self, factor=2.0, bad=None, nan=None):
        self.factor, self.bad, self.nan = factor, bad, nan

    def __call__(self, rows):
        if self.bad is not None and (rows == self.bad).any():
            raise ValueError("bad")
        y = rows * self.factor
        y[rows == self.nan] = np.nan
        return {"y": y, "word": [f"w{int(row)}" for row in rows]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs made once, by name."""
    folder = tmp_path_factory.mktemp("compare")
    known: dict[str, str] = {}

    def make(name, model=None, rows=ROWS, version="1", chunk=10, **sections):
        if name not in known:
            path = str(folder / f"{name}.zarr")
            foretell.predict(
                model or Model(), rows, path, batch_size=5, allow_partial=True,
                predictor={"version": version},
                schedule={"chunk": chunk, "retries": 0}, **sections,
            )  # fmt: skip
            known[name] = path
        return known[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_CACHE_DIR", str(folder / "cache"))
        yield make


def of(*paths, values=None):
    found = compare(*(side_of(open_objects(path)) for path in paths))
    return found if values is None else with_values(found, PLUGINS.writer_of, values)


def values_of(found):
    assert found.values is not None
    return found.values


def by_name(measures):
    return {measure.name: (measure.a, measure.b) for measure in measures}


def test_equal_runs_are_equal(made):
    found = of(made("a"), made("b"), values=3)
    assert found.equal, found.reasons
    assert (found.config, found.content, found.outputs, found.versions) == ((), (), (), ())
    assert (found.digests.compared, found.digests.different) == (6, 0)
    assert [(v.output, v.rows, v.same, v.largest) for v in found.values or ()] == [
        ("y", 30, True, 0.0),
        ("word", 30, True, None),
    ]
    assert len(found.sampled) == 3
    assert found.sampled == of(made("a"), made("b"), values=3).sampled
    assert by_name(found.totals)["rows_done"] == (60, 60)
    assert all(m.a is not None and m.a > 0 for m in found.speed if m.name != "largest worker")


def test_another_model_shows_in_fingerprint_bytes_and_values(made):
    found = of(made("a"), made("triple", Model(3.0), version="2"), values=2)
    assert not found.equal
    assert [d.key for d in found.config] == ["predictor.version"]
    assert found.digests.different == 6
    assert found.digests.chunks == (0, 1, 2, 3, 4, 5)
    y, word = values_of(found)
    rows = np.concatenate([ROWS[c * 10 : c * 10 + 10] for c in found.sampled])
    assert y.largest == rows.max()
    assert y.mean == pytest.approx(rows.mean())
    assert (y.equal, y.values) == (int((rows == 0).sum()), 20)
    assert word.same
    assert found.reasons[0] == "1 setting"
    assert found.reasons[-1] == "values"


def test_values_are_sampled_where_bytes_differ(made):
    found = of(made("a"), made("nan", Model(nan=33.0)), values=1)
    assert found.digests.chunks == (3,)
    assert found.sampled == (3,)
    y = values_of(found)[0]
    assert (y.nan_unlike, y.equal, y.values, y.largest) == (1, 9, 10, 0.0)
    assert not y.same


def test_rows_that_failed_make_a_difference(made):
    found = of(made("a"), made("partial", Model(bad=12.0)), values=6)
    assert "the rows that are predicted" in found.reasons
    assert by_name(found.totals)["rows_quarantined"] == (0, 1)
    assert by_name(found.failures) == {"ValueError": (0, 1)}
    y = values_of(found)[0]
    assert (y.rows_unlike, y.rows) == (1, 59 if len(found.sampled) == 6 else 9)


def test_another_cut_is_compared_by_rows(made):
    found = of(made("a"), made("coarse", chunk=30), values=6)
    assert [d.key for d in found.config] == ["schedule.chunk"]
    assert found.digests.reason == "the runs are cut into other chunks"
    assert len(found.sampled) == 6
    assert all(value.same for value in found.values or ())


def test_a_part_of_the_source_is_compared_where_both_have_it(made):
    found = of(made("a"), made("part", rows=ROWS[:35]), values=9)
    assert found.sampled == (0, 1, 2)
    assert all(value.same for value in found.values or ())
    assert by_name(found.totals)["rows"] == (60, 35)


def test_other_outputs(made):
    def one(rows):
        return {"y": np.stack([rows, rows], axis=1)}

    found = of(made("a"), made("wide", one), values=2)
    assert [(d.key, d.a, d.b) for d in found.outputs] == [
        ("word", "str ()", ""),
        ("y", "float32 ()", "float32 (2,)"),
    ]
    assert [value.note for value in found.values or ()] == ["float32 () against float32 (2,)"]
    assert found.digests.reason == "the runs have other outputs"


def test_what_is_no_run_is_refused(tmp_path, made):
    with pytest.raises(NotARun):
        of(made("a"), str(tmp_path / "nothing"))


def test_a_damaged_ledger_leaves_what_the_head_says(made, tmp_path):
    import shutil

    broken = tmp_path / "broken.zarr"
    shutil.copytree(made("a"), broken)
    for segment in (broken / "_run" / "ledger").iterdir():
        segment.write_bytes(b"rubbish\n")
    shutil.rmtree(broken / "_run" / "fold", ignore_errors=True)
    found = of(made("a"), str(broken))
    assert found.b.problem.startswith("its ledger cannot be read: ")
    assert found.b.totals.rows_done == 60
    assert found.digests.reason == f"the ledger of {broken} cannot be read"
    with pytest.raises(StoreError, match="values cannot be compared"):
        with_values(found, PLUGINS.writer_of, 1)


def test_a_manifest_of_a_newer_version_is_a_plain_error(made, tmp_path):
    import shutil

    newer = tmp_path / "newer.zarr"
    shutil.copytree(made("a"), newer)
    manifest = newer / "_run" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 9}))
    with pytest.raises(StoreError, match="cannot be trusted") as caught:
        of(made("a"), str(newer))
    assert dict(caught.value.facts)["why"] == "it has version 9, this program knows 1"


def test_bytes_are_compared_chunk_by_chunk(made):
    a, b = (side_of(open_objects(made(name))) for name in ("a", "b"))
    assert b.table is not None
    b.table.crcs[4, 0] ^= 1
    b.table.state[5] = 0
    found = compare(a, b)
    assert (found.digests.compared, found.digests.chunks) == (5, (4,))
    assert differing_chunks(a, b).tolist() == [4]


def test_times_are_not_counted_twice_or_over_pauses():
    starts = np.array([100.0, 0.0, 1.0, 101.0])
    assert covered(starts, np.array([2.0, 3.0, 1.0, 0.5])) == 5.0


def test_the_largest_worker_is_known_by_its_last_sample(made, tmp_path):
    import shutil

    copy = tmp_path / "copy.zarr"
    shutil.copytree(made("a"), copy)
    objects = open_objects(str(copy))
    write_workers(objects, [{"rss_peak": 5}, {"rss_peak": 7e6}, {"rss_peak": "x"}, {}])
    assert by_name(of(str(copy), str(copy)).speed)["largest worker"] == (7e6, 7e6)
    write_workers(objects, [])
    assert by_name(of(str(copy), str(copy)).speed)["largest worker"] == (None, None)


def test_settings_are_compared_by_their_dotted_names():
    assert flattened({"a": {"b": 1, "c": None}, "d": [1, 2]}) == {"a.b": "1", "d": "[1, 2]"}


FLOATS = arrays.arrays(
    np.float64,
    8,
    elements=st.sampled_from([0.0, -0.0, 1.0, 1e308, -1e308, np.nan, np.inf, -np.inf]),
)


@given(FLOATS, FLOATS)
def test_nan_against_nan_is_equal_and_against_a_number_is_not(one, other):
    part = difference(one, other)
    same = sum(x == y or (np.isnan(x) and np.isnan(y)) for x, y in zip(one, other, strict=True))
    unlike = sum(
        not (np.isfinite(x) and np.isfinite(y)) and not (x == y or (np.isnan(x) and np.isnan(y)))
        for x, y in zip(one, other, strict=True)
    )
    assert (part.values, part.equal, part.nan_unlike) == (8, same, unlike)
    assert part.distances == int((np.isfinite(one) & np.isfinite(other)).sum())
    again = difference(other, one)
    assert (again.equal, again.largest) == (part.equal, part.largest)
    assert difference(one, one).equal == 8


@pytest.mark.parametrize("dtype", ["bool", "u1", "i8", "u8", "f2", "c8"])
def test_every_stored_dtype_has_a_distance(dtype):
    one = np.array([0, 1, 1], dtype)
    part = difference(one, np.array([0, 1, 0], dtype))
    assert (part.equal, part.largest, part.total) == (2, 1.0, 1.0)


def test_a_side_that_is_not_whole_can_still_be_replaced(made):
    side = side_of(open_objects(made("a")))
    assert replace(side, problem="x").problem == "x"
    assert (side.word, side.sessions, side.workers) == ("done", 1, 1)
