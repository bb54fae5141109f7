"""The contract of sources, as tests: subclass, supply fixtures, run pytest.

    class TestMySource(SourceContract):
        source_class = MySource

        @pytest.fixture
        def source_options(self, tmp_path):
            return MySource.Options(kind="mine", path=str(write_some_data(tmp_path)))

        @pytest.fixture
        def expected(self):
            return np.arange(12.0)

Needs pytest and hypothesis.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretell import rows as rowops
from foretell.abc import Source, SourceOptions
from foretell.fingerprint import differences
from foretell.testing.examples import assert_same_rows
from foretell.testing.fresh_source import imported_by, read_elsewhere
from foretell.types import Examples, Layout, SourceSpec

MakeSource = Callable[[], Source]

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)


class SourceContract:
    """What every source promises.

    Supply ``expected`` and one of the first two fixtures:

    * ``source_options``: settings the source is built from, as a job would.
    * ``make_source``: builds the source, where no settings can.
    * ``expected``: all its rows, with the placeholders of rows that cannot be read.
    * ``bad_rows``: the rows that cannot be read; none by default.
    * ``change``: changes the data so that a row differs; tests that need it are skipped without.
    * ``touch``: changes something about the data that changes no row, e.g. its time of change.

    Attributes:
        source_class: The class under test, at the top level of an importable module.
        heavy: Modules that importing the class's module must not import, beside the usual ones.
    """

    source_class: ClassVar[type[Source]]
    heavy: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def source_options(self) -> SourceOptions | None:
        return None

    @pytest.fixture
    def make_source(self, source_options: SourceOptions | None) -> MakeSource:
        if source_options is None:
            pytest.fail("supply a fixture `source_options` or `make_source`")
        return lambda: self.source_class.from_options(source_options)

    @pytest.fixture
    def expected(self) -> Examples:
        pytest.fail("supply a fixture `expected`")

    @pytest.fixture
    def bad_rows(self) -> frozenset[int]:
        return frozenset()

    @pytest.fixture
    def change(self) -> Callable[[], object]:
        pytest.skip("no fixture `change`")

    @pytest.fixture
    def touch(self) -> Callable[[], object]:
        pytest.skip("no fixture `touch`")

    @pytest.fixture
    def source(self, make_source: MakeSource) -> Iterator[Source]:
        source = make_source()
        yield source
        source.close()

    # --- rows ---------------------------------------------------------------------------------

    def test_has_the_expected_rows_in_order(self, source: Source, expected: Examples) -> None:
        assert len(source) == rowops.count(expected)
        assert_same_rows(source.read(0, len(source)).examples, expected)

    @EXAMPLES
    @given(data=st.data())
    def test_any_range_is_that_part_of_the_whole(
        self, source: Source, expected: Examples, bad_rows: frozenset[int], data: st.DataObject
    ) -> None:
        start = data.draw(st.integers(0, len(source)), label="start")
        stop = data.draw(st.integers(start, len(source)), label="stop")
        read = source.read(start, stop)
        assert_same_rows(read.examples, _slice(expected, start, stop), f"rows {start}:{stop}")
        assert [e.row for e in read.errors] == sorted(bad_rows & set(range(start, stop)))

    def test_an_empty_range_has_no_rows_anywhere(self, source: Source, expected: Examples) -> None:
        for at in {0, len(source) // 2, len(source)}:
            read = source.read(at, at)
            assert_same_rows(read.examples, _slice(expected, at, at))
            assert read.errors == ()

    def test_ranges_read_by_many_threads_at_once_are_right(
        self, source: Source, expected: Examples
    ) -> None:
        draw = np.random.default_rng(0)
        ends = np.sort(draw.integers(0, len(source) + 1, size=(64, 2)), axis=1).tolist()
        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(lambda ends: source.read(*ends).examples, ends))
        for (start, stop), part in zip(ends, parts, strict=True):
            assert_same_rows(part, _slice(expected, start, stop), f"rows {start}:{stop}")

    def test_rows_belong_to_whoever_read_them(self, source: Source, expected: Examples) -> None:
        first = source.read(0, len(source)).examples
        _spoil(first)
        assert_same_rows(source.read(0, len(source)).examples, expected)

    def test_every_bad_row_says_why_and_where(
        self, source: Source, bad_rows: frozenset[int]
    ) -> None:
        errors = source.read(0, len(source)).errors
        assert [error.row for error in errors] == sorted(bad_rows)
        for error in errors:
            assert error.kind
            assert error.message
            assert "\n" not in error.message
            assert error.locator == source.locate(error.row)

    # --- what it says of itself ---------------------------------------------------------------

    def test_the_spec_is_what_is_read(self, source: Source, bad_rows: frozenset[int]) -> None:
        everything = source.read(0, len(source)).examples
        good = np.array([row not in bad_rows for row in range(len(source))], dtype=bool)
        _assert_spec(rowops.take(everything, good), source.spec)
        _assert_spec(source.read(0, 0).examples, source.spec)

    def test_locate_never_raises_and_is_one_line(self, source: Source) -> None:
        places = [source.locate(row) for row in (0, len(source) - 1, len(source), -1, 10**15)]
        assert all(place and place.isprintable() for place in places)
        if len(source) > 1:
            assert source.locate(0) != source.locate(len(source) - 1)

    def test_sizes_and_costs_make_sense(self, source: Source) -> None:
        size = source.row_bytes()
        assert size is None or (isinstance(size, int) and size >= 0)
        assert source.cost(0, 0) == 0
        assert source.cost(0, len(source)) >= source.cost(0, len(source) // 2) >= 0
        grid = source.row_grid()
        assert grid is None or math.prod(grid) == len(source)

    def test_coordinates_have_a_value_for_every_row(self, source: Source) -> None:
        coords = source.coords()
        assert source.supports_coords or not coords
        assert all(len(values) == len(source) for values in coords.values())

    # --- fingerprint --------------------------------------------------------------------------

    def test_the_fingerprint_is_stable_and_plain(self, make_source: MakeSource) -> None:
        first, again = make_source(), make_source()
        before = dict(first.fingerprint())
        first.read(0, len(first))
        assert before
        assert all(isinstance(item, str) for pair in before.items() for item in pair)
        assert dict(first.fingerprint()) == before
        assert dict(again.fingerprint()) == before

    def test_the_fingerprint_changes_with_the_data(
        self, make_source: MakeSource, change: Callable[[], object]
    ) -> None:
        before = dict(make_source().fingerprint())
        change()
        assert differences(before, dict(make_source().fingerprint()))

    def test_the_fingerprint_means_the_same_when_no_row_changed(
        self, make_source: MakeSource, touch: Callable[[], object]
    ) -> None:
        before = dict(make_source().fingerprint())
        touch()
        assert differences(before, dict(make_source().fingerprint())) == {}

    # --- life ---------------------------------------------------------------------------------

    def test_another_process_reads_the_same_from_the_same_settings(
        self, source_options: SourceOptions | None, source: Source
    ) -> None:
        if source_options is None:
            pytest.skip("built without settings")
        other = read_elsewhere(self.source_class, source_options)
        assert other.length == len(source)
        assert other.fingerprint == dict(source.fingerprint())
        assert_same_rows(other.rows.examples, source.read(0, len(source)).examples)
        assert other.rows.errors == source.read(0, len(source)).errors

    def test_settings_survive_pickling(self, source_options: SourceOptions | None) -> None:
        if source_options is None:
            pytest.skip("built without settings")
        copy = pickle.loads(pickle.dumps(source_options))
        assert copy == source_options
        assert copy.base_dir == source_options.base_dir

    def test_importing_the_module_imports_no_framework(self) -> None:
        assert imported_by(self.source_class, self.heavy) == []

    def test_closing_twice_is_fine(self, make_source: MakeSource) -> None:
        used, unused = make_source(), make_source()
        used.read(0, min(1, len(used)))
        for source in (used, unused):
            source.close()
            source.close()


def _slice(examples: Examples, start: int, stop: int) -> Examples:
    return rowops.take(examples, slice(start, stop))


def _spoil(examples: Any) -> None:
    """Overwrite everything that can be overwritten in place."""
    if isinstance(examples, np.ndarray):
        assert examples.flags.writeable, "the rows cannot be written to"
        examples[...] = np.zeros((), dtype=examples.dtype)
    elif isinstance(examples, dict):
        for column in examples.values():
            _spoil(column)
    else:
        examples.clear()


def _assert_spec(examples: Examples, spec: SourceSpec) -> None:
    if spec.layout is Layout.ARRAY:
        assert isinstance(examples, np.ndarray)
        _assert_column(examples, spec.shape, spec.dtype)
    elif spec.layout is Layout.COLUMNS:
        assert isinstance(examples, dict)
        assert list(examples) == list(spec.columns)
        for name, (shape, dtype) in spec.columns.items():
            _assert_column(examples[name], shape, dtype)
    else:
        assert isinstance(examples, list)
        for record in examples if spec.columns else ():
            assert list(record) == list(spec.columns)


def _assert_column(values: np.ndarray, shape: tuple[int, ...], dtype: str) -> None:
    assert values.shape[1:] == tuple(shape)
    if dtype == "str":
        assert values.dtype.kind in "OUT"
        assert all(isinstance(value, str) for value in values.reshape(-1).tolist())
    else:
        assert str(values.dtype) == dtype
