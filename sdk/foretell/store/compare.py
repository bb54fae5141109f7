"""Two runs side by side: what was asked for, where it ran, what came out, how fast.

A pure model of what the stores say: the command and the dashboard show the same. Values are only
read when that is asked for, by :mod:`foretell.store.compare_values`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from foretell.abc.writer import Writer
from foretell.errors import StoreError
from foretell.store.compare_bytes import Digests, differing_chunks, digests_of
from foretell.store.compare_values import (
    SEED,
    ValueDifference,
    common_chunks,
    compare_values,
    sample,
)
from foretell.store.reader import RunReader
from foretell.store.sides import Side
from foretell.store.snapshot import Snapshot

_PLACES = frozenset({"writer.path"})
"""Settings that say where a run lies, not what it is."""
_ROWS = ("rows", "rows_done", "rows_quarantined", "rows_failed")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same in both runs.

    Attributes:
        key: What: ``predictor.batch_size``, ``numpy``, ``logits``.
        a, b: As text; empty where a run has no such thing.
    """

    key: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of both runs.

    Attributes:
        name: What is measured.
        unit: ``rows``, ``chunks``, ``bytes``, ``s``, ``rows/s``.
        a, b: None where it is not known.
    """

    name: str
    unit: str
    a: float | None
    b: float | None

    @property
    def ratio(self) -> float | None:
        """``b / a``; None where that means nothing."""
        if self.a is None or self.b is None or self.a == 0:
            return None
        return self.b / self.a


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        a, b: The runs.
        config: Settings that differ, but for where the run lies.
        content: Parts of the fingerprint that differ: data, weights, code.
        outputs: Outputs that only one run has, or with another shape or dtype.
        versions: Versions of what computed.
        environment: Hosts and devices. They make no run different.
        totals: Rows, chunks and bytes.
        speed: Rate, chunk seconds, memory.
        failures: Failed attempts by kind. Retried ones count, so they make no run different.
        digests: Stored bytes, chunk by chunk.
        values: Differences of sampled values by output; None when they were not asked for.
        sampled: The chunks of ``a`` whose values were read.
    """

    a: Side
    b: Side
    config: tuple[Difference, ...]
    content: tuple[Difference, ...]
    outputs: tuple[Difference, ...]
    versions: tuple[Difference, ...]
    environment: tuple[Difference, ...]
    totals: tuple[Measure, ...]
    speed: tuple[Measure, ...]
    failures: tuple[Measure, ...]
    digests: Digests
    values: tuple[ValueDifference, ...] | None = None
    sampled: tuple[int, ...] = ()

    @property
    def reasons(self) -> list[str]:
        """What makes the runs different, in words; empty for equal ones."""
        counted = (
            (len(self.config), "setting", "settings"),
            (len(self.content), "part of the fingerprint", "parts of the fingerprint"),
            (len(self.outputs), "output", "outputs"),
            (len(self.versions), "version", "versions"),
        )
        found = [f"{count} {one if count == 1 else many}" for count, one, many in counted if count]
        if any(m.a != m.b for m in self.totals if m.name in _ROWS):
            found.append("the rows that are predicted")
        found += [f"the ledger of {s.shown} cannot be read" for s in (self.a, self.b) if s.problem]
        if self.digests.different:
            compared = f"{self.digests.different:,} of {self.digests.compared:,} chunks"
            found.append(f"the bytes of {compared}")
        if any(not value.same for value in self.values or ()):
            found.append("values")
        return found

    @property
    def equal(self) -> bool:
        """Whether both are runs of one job with the same outcome."""
        return not self.reasons


def compare(a: Side, b: Side) -> Comparison:
    """Two runs side by side. Reads nothing."""
    config = tuple(settings_that_differ(a.manifest.job, b.manifest.job))
    known = {difference.key for difference in config}
    prints = _differences(a.manifest.fingerprint, b.manifest.fingerprint)
    content = [d for d in prints if not (_said(d.key, known) or _is_version(d.key))]
    return Comparison(
        a=a,
        b=b,
        config=config,
        content=tuple(content),
        outputs=tuple(_differences(_outputs(a), _outputs(b))),
        versions=tuple(_differences(a.manifest.versions, b.manifest.versions)),
        environment=tuple(_differences(_environment(a), _environment(b))),
        totals=tuple(_totals(a, b)),
        speed=tuple(_speed(a, b)),
        failures=tuple(_failures(a, b)),
        digests=digests_of(a, b),
    )


def with_values(
    comparison: Comparison,
    writer_of: Callable[[Snapshot], Writer],
    count: int,
    seed: int = SEED,
) -> Comparison:
    """The comparison with values of sampled chunks read from both runs.

    Where the ledgers show chunks whose bytes differ, the sample is taken from those.

    Args:
        comparison: As :func:`compare` gave it.
        writer_of: The writer of a run's kind, open.
        count: Chunks to read.
        seed: Of the choice; equal seeds choose equal chunks.

    Raises:
        StoreError: a ledger or a chunk cannot be read.
    """
    readers = []
    for side in (comparison.a, comparison.b):
        if side.snapshot is None:
            raise StoreError("values cannot be compared", facts=[(side.shown, side.problem)])
        readers.append(RunReader(side.snapshot, writer_of(side.snapshot)))
    one, other = readers
    candidates = differing_chunks(comparison.a, comparison.b)
    if not len(candidates):
        candidates = common_chunks(one, other)
    chunks = sample(candidates, count, seed)
    values = tuple(compare_values(one, other, chunks))
    return replace(comparison, values=values, sampled=chunks)


def settings_that_differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    """Settings of two jobs that differ, but for those that say where a run lies."""
    flat = [{k: v for k, v in flattened(job).items() if k not in _PLACES} for job in (a, b)]
    yield from _differences(*flat)


def flattened(value: Any, name: str = "") -> dict[str, str]:
    """Nested settings by dotted name, as text; what is not set is left out."""
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key, item in value.items():
            found |= flattened(item, f"{name}.{key}" if name else str(key))
        return found
    return {} if value is None else {name: str(value)}


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for key in sorted({*a, *b}):
        one, other = str(a.get(key, "")), str(b.get(key, ""))
        if one != other:
            yield Difference(key, one, other)


def _said(key: str, settings: set[str]) -> bool:
    """Whether a part of the fingerprint is a setting that is named already, or a place."""
    return key in settings | _PLACES or any(name.startswith(f"{key}.") for name in settings)


def _is_version(key: str) -> bool:
    return key.startswith("versions.")


def _outputs(side: Side) -> dict[str, str]:
    return {spec.name: spec.describe() for spec in side.outputs}


def _environment(side: Side) -> dict[str, str]:
    return {
        "hosts": ", ".join(side.hosts),
        "devices": ", ".join(side.devices),
        "workers": str(side.workers),
    }


def _totals(a: Side, b: Side) -> Iterator[Measure]:
    units = {"rows": "rows", "chunks": "chunks", "bytes_written": "bytes"}
    for name in (*_ROWS, "rows_nan", "chunks", "done", "failed", "quarantined", "bytes_written"):
        unit = units.get(name, "rows" if name.startswith("rows") else "chunks")
        yield Measure(name, unit, getattr(a.totals, name), getattr(b.totals, name))


def _speed(a: Side, b: Side) -> Iterator[Measure]:
    yield Measure("rate", "rows/s", a.times.rate, b.times.rate)
    yield Measure("busy", "s", a.times.busy, b.times.busy)
    yield Measure("chunk p50", "s", a.times.p50, b.times.p50)
    yield Measure("chunk p95", "s", a.times.p95, b.times.p95)
    yield Measure("largest worker", "bytes", a.peak, b.peak)
    yield Measure("sessions", "sessions", a.sessions, b.sessions)


def _failures(a: Side, b: Side) -> Iterator[Measure]:
    for kind in sorted({*a.failures, *b.failures}):
        yield Measure(kind, "failures", a.failures.get(kind, 0), b.failures.get(kind, 0))
