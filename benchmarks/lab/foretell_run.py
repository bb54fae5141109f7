"""Runs ``sdk`` as a user would, and reads from the run store when things happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.place import python
from lab.process import Ran, run


@dataclass
class Timed:
    """A finished run.

    Attributes:
        ran: The process.
        job: Seconds from the first read of the first chunk to the last byte of the run's record.
        first_chunk: Seconds from the start of the process to the first read of the first chunk.
        chunks: Chunks of the run.
        ledger_bytes: Size of the ledger, folds left out.
    """

    ran: Ran
    job: float
    first_chunk: float
    chunks: int
    ledger_bytes: int


def predict(sections: Mapping[str, Mapping[str, Any]], output: Path, **options: Any) -> Timed:
    """``sdk predict`` with settings given on the command line.

    Args:
        sections: Settings by section.
        output: The run store.
        options: For :func:`lab.process.run`.
    """
    ran = run(command("predict", sections, output), **options)
    return timed(output, ran)


def command(
    verb: str, sections: Mapping[str, Mapping[str, Any]], output: Path, *more: str
) -> list[str]:
    """The command line of a job."""
    sets = [f"--set={key}={value}" for key, value in _flat(sections)]
    return python("-m", "foretell", verb, *sets, "--output", str(output), *more)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def timed(output: Path, ran: Ran) -> Timed:
    """When the run at ``output`` did what, by its ledger and the times of its files."""
    from foretell.store.open import open_objects
    from foretell.store.snapshot import open_snapshot
    from foretell.types import ChunkState

    table = open_snapshot(open_objects(str(output))).table
    done = table.state == ChunkState.DONE
    assert done.all(), f"{(~done).sum()} chunks of {output} are not done"
    first = float(table.started[done].min())
    record = [*(output / "_run" / "ledger").iterdir()]
    last = max(path.stat().st_mtime for path in [*record, output / "_run" / "head.json"])
    return Timed(
        ran,
        last - first,
        first - ran.began,
        int(np.size(table.state)),
        sum(path.stat().st_size for path in record),
    )
