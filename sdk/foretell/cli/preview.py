"""A few predicted values, from the first chunk the ledger says is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foretell.cli.parts import plugins, writer_of

if TYPE_CHECKING:
    from foretell.previews import Preview as Picture
    from foretell.store.peek import Block, Peek
    from foretell.store.snapshot import Snapshot

ROWS = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """The first predicted rows.

    Attributes:
        start: First row of the chunk.
        stop: Row after the last one shown.
        values: Output to one text a row.
        statistics: Output to a phrase on all rows that were read, numbers only.
    """

    start: int
    stop: int
    values: Mapping[str, Sequence[str]]
    statistics: Mapping[str, str] = field(default_factory=dict)


def peek_of(snapshot: Snapshot) -> Peek:
    """Small reads of a run's outputs."""
    from foretell.store.peek import Peek

    return Peek(snapshot, writer_of(snapshot))


def preview_of(peek: Peek, names: Sequence[str]) -> Preview | None:
    """The first rows of the first chunk that is done; None when none is.

    Raises:
        StoreError: the chunk cannot be read, although the ledger says it is done.
    """
    number = peek.first()
    if number is None:
        return None
    chunk = peek.plan.chunk(number)
    shown = min(ROWS, len(chunk))
    values, statistics = {}, {}
    for name in names:
        block = peek.block(name, number)
        values[name] = _texts(block, chunk.start, shown)
        statistics[name] = _statistics(block.values) if name != "valid" else ""
    known = {name: text for name, text in statistics.items() if text}
    return Preview(chunk.start, chunk.start + shown, values, known)


def picture_of(peek: Peek, name: str, chunk: int | None, view: str) -> tuple[Picture, str] | None:
    """What registered previews make of a chunk of one output, and what was left out.

    None while no chunk is done.

    Raises:
        NotYetPredicted: the chunk that was asked for is not done.
        StoreError: it cannot be read.
    """
    from foretell.plugins.previewing import Previewer

    number = peek.first() if chunk is None else chunk
    if number is None:
        return None
    block = peek.block(name, number)
    before = peek.next_done(number, -1)
    previous = None if before is None else peek.block(name, before).values
    asked = Previewer(plugins()).ask(block.meta(view, previous=previous), block.values, 80, 16)
    return asked, block.note


def _texts(block: Block, start: int, shown: int) -> list[str]:
    import numpy as np

    wanted = {int(row): i for i, row in enumerate(block.rows.tolist()) if row < start + shown}
    with np.printoptions(precision=4, threshold=6, edgeitems=2, linewidth=1000):
        return [
            str(block.values[wanted[row]]).replace("\n", "") if row in wanted else "-"
            for row in range(start, start + shown)
        ]


def _statistics(rows: Any) -> str:
    """Least, mean and greatest of what is a number; empty otherwise."""
    from foretell.previews.statistics import number, summary

    if rows.dtype.kind not in "iuf" or rows.size == 0:
        return ""
    found = summary(rows)
    if not len(found.finite):
        return "no finite value"
    return f"min {number(found.low)}  mean {number(found.mean)}  max {number(found.high)}"
