"""Two runs side by side, in words: the lines of ``sdk compare``."""

from __future__ import annotations

from collections.abc import Sequence

from foretell.cli.output import table
from foretell.redact import redact_text
from foretell.store.compare import Comparison, Difference, Measure
from foretell.store.compare_bytes import Digests
from foretell.store.compare_values import ValueDifference
from foretell.text import clip, duration, plural, size

WIDTH = 60
_NAMES = {
    "rows": "rows",
    "rows_done": "predicted",
    "rows_quarantined": "quarantined",
    "rows_failed": "failed",
    "rows_nan": "NaN or infinity",
    "done": "done",
    "failed": "failed",
    "quarantined": "quarantined",
    "bytes_written": "stored",
}


def lines_of(comparison: Comparison, width: int = 0) -> list[str]:
    """The one screen; long texts are cut so that tables keep to ``width``, where one is given."""
    a, b = comparison.a, comparison.b
    verdict = "equal" if comparison.equal else f"different: {', '.join(comparison.reasons)}"
    lines = [verdict]
    lines += table(
        [("A", a.shown, a.word, a.problem), ("B", b.shown, b.word, b.problem)], indent="  "
    )
    lines += _differences("settings", comparison.config, width)
    lines += _differences("data and code", comparison.content, width)
    lines += _differences("outputs", comparison.outputs, width)
    lines += _differences("versions", comparison.versions, width)
    lines += _differences("ran on", comparison.environment, width)
    lines += _measures("totals", comparison.totals)
    lines += _measures("speed", comparison.speed)
    lines += _measures("failed attempts", comparison.failures)
    lines += _bytes(comparison.digests)
    lines += _values(comparison)
    return lines


def _differences(title: str, found: Sequence[Difference], width: int) -> list[str]:
    if not found:
        return []
    names = max(len(d.key) for d in found) + 2 + 2 * 3
    room = min(WIDTH, max(12, (width - names) // 2)) if width else WIDTH
    rows = [("", "A", "B"), *((d.key, _cell(d.a, room), _cell(d.b, room)) for d in found)]
    return [title, *table(rows, indent="  ")]


def _cell(text: str, room: int) -> str:
    return clip(redact_text(text), room) if text else "-"


def _measures(title: str, found: Sequence[Measure]) -> list[str]:
    shown = [m for m in found if m.a or m.b]
    if not shown:
        return []
    rows = [("", "A", "B", "B / A")]
    rows += [(_name(m), quantity(m.a, m.unit), quantity(m.b, m.unit), ratio(m)) for m in shown]
    return [title, *table(rows, indent="  ")]


def _name(measure: Measure) -> str:
    name = _NAMES.get(measure.name, measure.name)
    if measure.unit == "chunks" and measure.name != "chunks":
        return f"chunks {name}"
    return name


def quantity(value: float | None, unit: str) -> str:
    """A figure with its unit; ``-`` where it is not known."""
    if value is None:
        return "-"
    if unit == "bytes":
        return size(value)
    if unit == "s":
        return f"{value:.3g} s" if value < 60 else duration(value)
    if unit == "rows/s":
        return f"{value:,.0f} rows/s" if value >= 10 else f"{value:.2g} rows/s"
    return plural(round(value), unit[:-1]) if unit in ("rows", "chunks") else f"{value:,.0f}"


def ratio(measure: Measure) -> str:
    """``1.25``; empty where it means nothing or is 1."""
    found = measure.ratio
    text = "" if found is None else f"{found:.3g}"
    return "" if text == "1" else text


def _bytes(found: Digests) -> list[str]:
    if found.reason:
        return ["stored bytes", f"  not compared: {found.reason}"]
    if not found.compared:
        return ["stored bytes", "  no chunk is done in both runs"]
    if not found.different:
        return ["stored bytes", f"  {plural(found.compared, 'chunk')} compared, all identical"]
    ids = ", ".join(str(chunk) for chunk in found.chunks)
    more = found.different - len(found.chunks)
    text = f"  {found.different:,} of {plural(found.compared, 'chunk')} differ: {ids}"
    return ["stored bytes", text + (f" and {more:,} more" if more else "")]


def _values(comparison: Comparison) -> list[str]:
    if comparison.values is None:
        return []
    chunks = plural(len(comparison.sampled), "chunk")
    rows: list[tuple[str, ...]] = [("output", "rows", "equal", "largest", "mean", "NaN in one", "")]
    rows += [_value(value) for value in comparison.values]
    return [f"values of {chunks}", *table(rows, indent="  ")]


def _value(value: ValueDifference) -> tuple[str, ...]:
    if value.note:
        return (value.output, "-", "-", "-", "-", "-", value.note)
    unlike = f"{value.rows_unlike:,} rows in one run only" if value.rows_unlike else ""
    return (
        value.output,
        f"{value.rows:,}",
        _share(value),
        _distance(value.largest),
        _distance(value.mean),
        f"{value.nan_unlike:,}",
        unlike,
    )


def _share(value: ValueDifference) -> str:
    if value.equal == value.values:
        return "all"
    return f"{min(value.share, 0.9999):.2%}"


def _distance(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
