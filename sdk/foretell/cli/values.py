"""``sdk show RUN ARRAY --separator``: the values of one output and nothing else."""

from __future__ import annotations

from foretell.cli.output import raw
from foretell.cli.parts import open_snapshot_of, writer_of
from foretell.cli.session import Session
from foretell.errors import UsageError
from foretell.store.reader import RunReader
from foretell.text import visible
from foretell.types import Valid

SEPARATOR = "-" * 20


def print_values(session: Session, run: str, name: str | None) -> int:
    """Every predicted value, in the order of the rows; texts keep their lines."""
    if name is None or session.json:
        raise UsageError(
            "--separator takes one output, and not --json",
            tries=[("sdk show RUN text --separator", "for example")],
        )
    _, snapshot = open_snapshot_of(run)
    reader = RunReader(snapshot, writer_of(snapshot))
    wanted, first = name.strip("/"), True
    for _, arrays, valid in reader.chunks([wanted], partial=True):
        for value, known in zip(arrays[wanted], valid, strict=True):
            if known == int(Valid.PREDICTED):
                if not first:
                    raw(SEPARATOR)
                raw(visible(str(value), keep="\n\t") + "\n")
                first = False
    return 0
