"""The kit finds what it is there to find: each planted bug fails the test that names it."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foretell.abc import Source, SourceOptions
from foretell.testing.source import SourceContract
from foretell.types import Layout, RowError, Rows, SourceSpec

VALUES = np.arange(20, dtype="int64")


class Sound(Source):
    """Twenty numbers; row 7 is bad."""

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._values = np.load(options.resolve(options.path or ""))
        self._values[7] = 0

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(Layout.ARRAY, (), "int64")

    def __len__(self) -> int:
        return len(self._values)

    def read(self, start: int, stop: int) -> Rows:
        bad = start <= 7 < stop
        error = RowError(7, "ValueError", "seven", self.locate(7))
        return Rows(self._values[start:stop].copy(), (error,) if bad else ())

    def fingerprint(self) -> Mapping[str, str]:
        return {"values": ",".join(map(str, self._values))}


class Overlaps(Sound):
    def read(self, start: int, stop: int) -> Rows:
        return super().read(max(start - 1, 0), max(stop - 1, 0)) if start else super().read(0, stop)


class Shares(Sound):
    def read(self, start: int, stop: int) -> Rows:
        return Rows(self._values[start:stop], super().read(start, stop).errors)


class NotForThreads(Sound):
    _at = 0

    def read(self, start: int, stop: int) -> Rows:
        self._at = start
        os.sched_yield()
        read = super().read(start, stop)
        for _ in range(200):
            os.sched_yield()
        return read if self._at == start else super().read(0, stop - start)


class Silent(Sound):
    def read(self, start: int, stop: int) -> Rows:
        return Rows(super().read(start, stop).examples)


class Misplaces(Sound):
    def read(self, start: int, stop: int) -> Rows:
        read = super().read(start, stop)
        moved = tuple(RowError(e.row - start, e.kind, e.message, e.locator) for e in read.errors)
        return Rows(read.examples, moved)


class Lies(Sound):
    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(Layout.ARRAY, (), "float64")


class Raises(Sound):
    def locate(self, row: int) -> str:
        return ["row"][row]


class TwoLines(Sound):
    def locate(self, row: int) -> str:
        return f"a\nb {row}"


class Forgets(Sound):
    def fingerprint(self) -> Mapping[str, str]:
        return {"rows": str(len(self))}


class Restless(Sound):
    _count = 0

    def fingerprint(self) -> Mapping[str, str]:
        Restless._count += 1
        return {"count": str(Restless._count)}


class ClosesOnce(Sound):
    def close(self) -> None:
        del self._values


class ElsewhereOther(Sound):
    def fingerprint(self) -> Mapping[str, str]:
        return {"process": str(os.getpid())}


@pytest.fixture
def make(tmp_path: Path) -> Callable[[type[Source]], Source]:
    np.save(tmp_path / "x.npy", VALUES)
    options = SourceOptions(kind="toy", path="x.npy").at(tmp_path)
    return lambda cls: cls.from_options(options)


def change(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[3] = 99
    np.save(tmp_path / "x.npy", values)


EXPECTED = np.where(VALUES == 7, 0, VALUES)
BAD = frozenset({7})


def run(name: str, cls: type[Source], make: Any, tmp_path: Path) -> None:
    """Run one test of the kit on a class, as pytest would."""
    contract = type("TestToy", (SourceContract,), {"source_class": cls})()
    test = getattr(contract, name)
    source = make(cls)
    fixtures: dict[str, Any] = {
        "source": source,
        "source_options": source._options,
        "make_source": lambda: make(cls),
        "expected": EXPECTED,
        "bad_rows": BAD,
        "change": lambda: change(tmp_path),
    }
    plain: Any = getattr(getattr(test, "hypothesis", None), "inner_test", test)
    wanted = plain.__code__.co_varnames[1 : plain.__code__.co_argcount]
    test(**{name: fixtures[name] for name in wanted if name in fixtures})


PLANTED: dict[str, list[type[Source]]] = {
    "test_any_range_is_that_part_of_the_whole": [Overlaps, Silent, Misplaces],
    "test_an_empty_range_has_no_rows_anywhere": [],
    "test_has_the_expected_rows_in_order": [],
    "test_ranges_read_by_many_threads_at_once_are_right": [NotForThreads],
    "test_rows_belong_to_whoever_read_them": [Shares],
    "test_every_bad_row_says_why_and_where": [Silent],
    "test_the_spec_is_what_is_read": [Lies],
    "test_locate_never_raises_and_is_one_line": [Raises, TwoLines],
    "test_the_fingerprint_is_stable_and_plain": [Restless],
    "test_the_fingerprint_changes_with_the_data": [Forgets],
    "test_closing_twice_is_fine": [ClosesOnce],
    "test_another_process_reads_the_same_from_the_same_settings": [ElsewhereOther],
    "test_settings_survive_pickling": [],
    "test_sizes_and_costs_make_sense": [],
    "test_coordinates_have_a_value_for_every_row": [],
    "test_importing_the_module_imports_no_framework": [],
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_sound_source_passes(name, make, tmp_path):
    run(name, Sound, make, tmp_path)


@pytest.mark.parametrize(
    ("name", "cls"), [(name, cls) for name, classes in PLANTED.items() for cls in classes]
)
def test_a_planted_bug_is_found(name, cls, make, tmp_path):
    with pytest.raises((AssertionError, AttributeError, IndexError)):
        run(name, cls, make, tmp_path)
