"""What a check of a run store found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = "foretell-verify"
VERSION = 1
CLEAN, DAMAGED, BROKEN = 0, 3, 5

RECORD_KINDS = frozenset({"manifest", "ledger"})
"""Kinds of damage after which nothing a store says can be trusted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be.

    Attributes:
        kind: ``missing``, ``size``, ``crc``, ``decode``, ``valid``, ``receipt`` (of a done chunk),
            ``orphan``, ``unexplained``, ``document``, ``reserved``, ``staged``, ``fold``,
            ``failures``, ``manifest`` or ``ledger``.
        text: What was expected and what was found, one line.
        object: Key of the object, ``""`` where no single one is meant.
        chunk: Chunk id, None where no chunk is concerned.
        damage: False for what is merely worth knowing, like objects of a chunk in the making.
    """

    kind: str
    text: str
    object: str = ""
    chunk: int | None = None
    damage: bool = True


@dataclass(slots=True)
class Report:
    """The result of :func:`foretell.store.verify.verify`.

    Attributes:
        run: Path or URL of the run store.
        deep: Whether chunks were decoded as well.
        chunks: Chunks of the plan.
        done: Chunks the ledger calls done; all of them were checked.
        objects: Objects read.
        bytes: Their size.
        problems: What was found, record first, then by chunk.
    """

    run: str
    deep: bool
    chunks: int
    done: int = 0
    objects: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def damage(self) -> list[Problem]:
        """The problems that are damage."""
        return [problem for problem in self.problems if problem.damage]

    @property
    def chunks_damaged(self) -> list[int]:
        """Ids of the done chunks to compute again, ascending."""
        return sorted({problem.chunk for problem in self._damaged() if problem.chunk is not None})

    @property
    def exit_code(self) -> int:
        """0 clean, 3 damage, 5 when the record itself is broken."""
        if any(problem.kind in RECORD_KINDS for problem in self.damage):
            return BROKEN
        return DAMAGED if self.damage else CLEAN

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``sdk verify --json`` prints it."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "run": self.run,
            "deep": self.deep,
            "chunks": self.chunks,
            "done": self.done,
            "objects": self.objects,
            "bytes": self.bytes,
            "chunks_damaged": self.chunks_damaged,
            "problems": [asdict(problem) for problem in self.problems],
            "exit_code": self.exit_code,
        }

    def _damaged(self) -> Iterator[Problem]:
        # An orphan belongs to a chunk that is not done: there is nothing to compute again.
        return (problem for problem in self.damage if problem.kind != "orphan")
