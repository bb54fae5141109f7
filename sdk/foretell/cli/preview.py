"""A few predicted values, from the first chunk the ledger says is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foretell.cli.parts import writer_of
from foretell.types import ChunkState, Valid

if TYPE_CHECKING:
    from foretell.store.objects import ObjectStore
    from foretell.store.snapshot import Snapshot

ROWS = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """The first predicted rows.

    Attributes:
        start: First row shown.
        stop: Row after the last one shown.
        values: Output to one text a row.
        statistics: Output to a phrase on all rows of the chunk, numbers only.
    """

    start: int
    stop: int
    values: Mapping[str, Sequence[str]]
    statistics: Mapping[str, str] = field(default_factory=dict)


def preview_of(snapshot: Snapshot, objects: ObjectStore, names: Sequence[str]) -> Preview | None:
    """The first rows of the first chunk that is done; None when none is.

    Raises:
        StoreError: the chunk cannot be read, although the ledger says it is done.
    """
    done = snapshot.table.ids(ChunkState.DONE)
    if len(done) == 0:
        return None
    chunk = snapshot.plan.chunk(int(done[0]))
    wanted = [name for name in names if name != "valid"]
    arrays, valid = writer_of(snapshot, objects).read(chunk, wanted)
    shown = min(ROWS, len(chunk))
    values = {name: _texts(arrays[name][:shown], valid) for name in wanted}
    if "valid" in names:
        values["valid"] = [str(int(value)) for value in valid[:shown]]
    predicted = valid == int(Valid.PREDICTED)
    statistics = {name: _statistics(arrays[name][predicted]) for name in wanted}
    return Preview(
        chunk.start, chunk.start + shown, values, {k: v for k, v in statistics.items() if v}
    )


def _texts(rows: Any, valid: Any) -> list[str]:
    import numpy as np

    with np.printoptions(precision=4, threshold=6, edgeitems=2, linewidth=1000):
        return [
            str(row).replace("\n", "") if valid[i] == int(Valid.PREDICTED) else "-"
            for i, row in enumerate(rows)
        ]


def _statistics(rows: Any) -> str:
    """Least, mean and greatest of what is a number; empty otherwise."""
    import numpy as np

    if rows.dtype.kind not in "iuf" or rows.size == 0:
        return ""
    numbers = rows[np.isfinite(rows)] if rows.dtype.kind == "f" else rows
    if numbers.size == 0:
        return "no finite value"
    least, mean, most = numbers.min(), numbers.mean(dtype=np.float64), numbers.max()
    return f"min {least:.4g}  mean {mean:.4g}  max {most:.4g}"
