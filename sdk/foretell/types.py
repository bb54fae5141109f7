"""The plain values that travel between the parts: ranges of rows, batches, specs and receipts.

Nothing here imports numpy at run time, so that the command line can use these names for free.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""A value that survives a round trip through JSON."""

Examples: TypeAlias = "np.ndarray | dict[str, np.ndarray] | list[Any]"
"""Rows of input: an array with rows on axis 0, columns of equal length, or a list of records."""

Arrays: TypeAlias = "dict[str, np.ndarray]"
"""Outputs by name, rows on axis 0. Nested outputs use ``/`` in the name: ``head/logits``."""

RESERVED_OUTPUTS = frozenset({"valid", "_run"})
"""Output names a predictor may not use, because the run store uses them itself."""


class Valid(enum.IntEnum):
    """What the ``valid`` array says of a row."""

    NOT_PREDICTED = 0
    PREDICTED = 1
    QUARANTINED = 2


class ChunkState(enum.IntEnum):
    """Where a chunk stands. The numbers are stored in folds: never renumber them."""

    PENDING = 0
    RUNNING = 1
    RETRYING = 2
    DONE = 3
    FAILED = 4
    QUARANTINED = 5
    DAMAGED = 6

    @property
    def ended(self) -> bool:
        """Whether ``predict`` and ``resume`` leave the chunk alone."""
        return self in (ChunkState.DONE, ChunkState.FAILED, ChunkState.QUARANTINED)


class RunState(enum.StrEnum):
    """Where a run stands, as its head says."""

    PLANNED = "planned"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether no driver is expected to be at work."""
        return self in _ENDED_RUNS


_ENDED_RUNS = frozenset(
    {
        RunState.DONE,
        RunState.PARTIAL,
        RunState.FAILED,
        RunState.CANCELLED,
        RunState.INTERRUPTED,
    }
)


class Layout(enum.StrEnum):
    """How a source hands over its rows."""

    ARRAY = "array"
    COLUMNS = "columns"
    RECORDS = "records"


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What one row of a source looks like.

    Attributes:
        layout: ``array`` (one ndarray, rows on axis 0), ``columns`` (a dict of ndarrays) or
            ``records`` (a list of anything, usually dicts).
        shape: Shape of one row, for ``array``; ``()`` otherwise.
        dtype: NumPy name of the dtype, for ``array``; ``""`` otherwise.
        columns: For ``columns``, each column's (row shape, dtype name); for ``records`` the known
            field names with ``((), "")``, or empty when they are not known beforehand.
    """

    layout: Layout
    shape: tuple[int, ...] = ()
    dtype: str = ""
    columns: Mapping[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one input row cannot be used.

    Attributes:
        row: Global row index.
        kind: Short name of the cause, usually the exception's class.
        message: What went wrong, one line.
        locator: Where the row came from, e.g. ``reviews.jsonl:41``.
    """

    row: int
    kind: str
    message: str
    locator: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """A range of rows as read: as many as asked for, and which of them are unusable.

    Attributes:
        examples: Exactly ``stop - start`` rows. Where ``errors`` names a row, its content here is
            a placeholder that the model never sees.
        errors: One entry for each unusable row.
    """

    examples: Examples
    errors: tuple[RowError, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows a model sees in one step, always of the plan's full batch size ``B``.

    Attributes:
        inputs: What the predictor's ``collate`` returned for ``B`` examples.
        rows: int64 ``(B,)``, global row index of each row; -1 where the row is filler.
        mask: bool ``(B,)``, False where the row is filler (padding, or a row set aside).
        keys: uint32 ``(B, 2)``, random key of each row, a function of the run's seed and the
            global row index alone, so never of batch size, worker count or attempt.
    """

    inputs: Any
    rows: np.ndarray
    mask: np.ndarray
    keys: np.ndarray

    @property
    def size(self) -> int:
        """Rows in the batch, filler included."""
        return len(self.mask)


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output array, declared by the predictor or learnt from the dry batch.

    Attributes:
        name: Path of the output, ``label`` or ``head/logits``.
        shape: Shape of one row; ``()`` for a scalar per row.
        dtype: NumPy name (``float32``, ``bool``, ``int64`` …), ``str`` for text of any length, or
            ``json`` for values whose shape differs from row to row.
        dims: Names of the dimensions of ``shape``; made up (``label_dim_0``) when empty.
        attrs: Attributes stored with the array, e.g. ``{"class_names": [...]}``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...] = ()
    attrs: Mapping[str, JSON] = field(default_factory=dict)

    def describe(self) -> str:
        """The spec in one phrase, as error messages show it: ``float32 (10,)``."""
        return f"{self.dtype} {self.shape}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A fixed, contiguous range of rows: the unit that is committed, retried and resumed."""

    id: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Receipt:
    """A writer's proof of one chunk (or of a group member's part of it).

    Attributes:
        sizes: Bytes of each stored object, in the order of ``Writer.objects``.
        crcs: crc32c of each object's stored bytes, same order.
    """

    sizes: tuple[int, ...]
    crcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """The place of one process in a group that acts as one deployment.

    Attributes:
        rank: 0 .. size - 1; rank 0 leads.
        size: Processes in the group.
        address: ``host:port`` free on rank 0's host, for the members to find each other.
        generation: How often this group was started; a restart uses a new address.
    """

    rank: int = 0
    size: int = 1
    address: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A named, long-lived object that a deployer wants placed on the cluster.

    Attributes:
        name: Unique in the run.
        factory: ``package.module:callable``; called with ``options`` where the service lives.
        options: Plain keyword arguments for the factory.
        memory: Bytes the service is expected to hold, used to spread services over workers.
        repeatable: Whether a call that was lost may be sent again. Declare False for anything
            that changes the service's state.
        once: Methods whose lost calls must not be sent again although the others' may.
    """

    name: str
    factory: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    memory: int = 0
    repeatable: bool = True
    once: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """What a plugin registers for one name: enough to list it without importing anything.

    Attributes:
        name: What the user types as ``kind`` (or as the command's name).
        summary: One line.
        target: Import string ``package.module:attribute`` of the class (or click command).
        extra: The extra of this or another distribution that brings its framework, or ``""``.
    """

    name: str
    summary: str
    target: str
    extra: str = ""
