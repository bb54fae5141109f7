"""What a benchmark found: rows of medians, targets met or missed, as markdown and JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Line:
    """One contender.

    Attributes:
        name: What was measured.
        samples: One figure a round.
        more: Further columns, already as text.
        skipped: Why there are no samples.
    """

    name: str
    samples: list[float] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)
    skipped: str = ""

    @property
    def median(self) -> float | None:
        """Median of the rounds."""
        return statistics.median(self.samples) if self.samples else None


@dataclass
class Check:
    """A target and what was measured.

    Attributes:
        what: The target in words.
        value: Measured; None when it could not be.
        limit: The target.
        at_least: Whether more is better.
    """

    what: str
    value: float | None
    limit: float
    at_least: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the target holds."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass
class Report:
    """The answer to one question.

    Attributes:
        title: The question.
        unit: Of the samples.
        lines: Contenders.
        checks: Targets.
        notes: What a reader must know.
        reference: Name of the line that ratios refer to, or "".
        higher: Whether more is better.
    """

    title: str
    unit: str
    lines: list[Line] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reference: str = ""
    higher: bool = True

    def line(self, name: str) -> Line:
        """The line of that name."""
        return next(line for line in self.lines if line.name == name)

    def ratio(self, name: str, other: str) -> float | None:
        """Median of the ratios of two lines, round by round, so that slow minutes cancel."""
        one, two = self.line(name).samples, self.line(other).samples
        pairs = [a / b for a, b in zip(one, two, strict=False) if b]
        return statistics.median(pairs) if pairs else None

    def markdown(self) -> str:
        """The report as markdown."""
        extra = list(dict.fromkeys(key for line in self.lines for key in line.more))
        head = ["", f"median, {self.unit}", "range", *(["ratio"] if self.reference else []), *extra]
        rows = [self._row(line, extra) for line in self.lines]
        parts = [f"### {self.title}\n", _table(head, rows)]
        if self.checks:
            parts.append(_table(["target", "limit", "measured", ""], map(_check, self.checks)))
        parts += [f"* {note}" for note in self.notes]
        return "\n".join(parts) + "\n"

    def _row(self, line: Line, extra: Sequence[str]) -> list[str]:
        if not line.samples:
            return [line.name, f"skipped: {line.skipped}"]
        row = [
            line.name,
            number(line.median),
            f"{number(min(line.samples))} - {number(max(line.samples))}",
        ]
        if self.reference:
            ratio = self.ratio(line.name, self.reference)
            row.append("" if ratio is None else f"{ratio:.2f}")
        return row + [line.more.get(key, "") for key in extra]


def number(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _check(check: Check) -> list[str]:
    sign = "≥" if check.at_least else "≤"
    verdict = {True: "met", False: "**missed**", None: "not measured"}[check.met]
    return [check.what, f"{sign} {number(check.limit)}", number(check.value), verdict]


def _table(head: Sequence[str], rows: Any) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join([*row, *[""] * (len(head) - len(row))]) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def save(reports: Sequence[Report], folder: Path, facts: dict[str, Any]) -> None:
    """Write ``results.md`` and ``results.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"* {key}: {value}" for key, value in facts.items()]
    text = "\n".join(lines) + "\n\n" + "\n".join(report.markdown() for report in reports)
    (folder / "results.md").write_text(text, encoding="utf-8")
    data = {
        "facts": facts,
        "reports": [
            asdict(report)
            | {"checks": [asdict(check) | {"met": check.met} for check in report.checks]}
            for report in reports
        ],
    }
    (folder / "results.json").write_text(json.dumps(data, indent=1), encoding="utf-8")


def interleaved(
    contenders: Sequence[tuple[str, Callable[[], float]]], rounds: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Measure all contenders once a round, the order turned round by round.

    A slow minute of a shared machine then hurts all of them alike, and the ratio of two of them in
    one round still means something.
    """
    found: dict[str, list[float]] = {name: [] for name, _ in contenders}
    for turn in range(rounds):
        shift = turn % len(contenders)
        for name, measure in [*contenders[shift:], *contenders[:shift]]:
            found[name].append(measure())
            say(f"  round {turn + 1} of {rounds}: {name}: {number(found[name][-1])}")
    return found
