"""A writer creates the outputs, writes one chunk at a time, and says what it wrote."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from foretell.abc.options import WriterOptions
from foretell.types import JSON, Arrays, Chunk, OutputSpec, Receipt

if TYPE_CHECKING:
    import numpy as np

    from foretell.store.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class WriterPlan:
    """All a writer needs to know about the run. Plain data, stored in the manifest.

    Attributes:
        n_rows: Rows of every output.
        chunk_rows: Rows of every chunk but the last.
        parts: Objects written per chunk and output side by side: the group size. ``chunk_rows``
            is a multiple of it.
        batch_size: Rows of a batch: a good unit for reading back.
        outputs: What is stored, kept input columns included.
        attrs: Attributes for the root: what the run was, without times or ids.
        row_offset: Global index of row 0; above 0 when the run covers a part of its source.
    """

    n_rows: int
    chunk_rows: int
    batch_size: int
    outputs: tuple[OutputSpec, ...]
    parts: int = 1
    attrs: Mapping[str, JSON] = field(default_factory=dict)
    row_offset: int = 0

    @property
    def n_chunks(self) -> int:
        """Number of chunks; 0 for no rows."""
        return -(-self.n_rows // self.chunk_rows)

    @property
    def part_rows(self) -> int:
        """Rows of one part (of one shard)."""
        return self.chunk_rows // self.parts

    def chunk(self, chunk_id: int) -> Chunk:
        """The range of rows of chunk ``chunk_id``."""
        start = chunk_id * self.chunk_rows
        return Chunk(chunk_id, start, min(start + self.chunk_rows, self.n_rows))

    def part(self, chunk: Chunk, part: int) -> Chunk:
        """The rows of one part of a chunk, as a range with the chunk's id; may be empty."""
        start = min(chunk.start + part * self.part_rows, chunk.stop)
        return Chunk(chunk.id, start, min(start + self.part_rows, chunk.stop))


class Writer(ABC):
    """Stores chunks of outputs inside a run store.

    Built from options and an :class:`~foretell.store.objects.ObjectStore` confined to the run
    store, in the driver and in every worker process. All bytes go through that object store: it
    stages, checks the lease, takes the crc, retries and counts.
    """

    Options: ClassVar[type[WriterOptions]] = WriterOptions
    """Settings class of the ``[writer]`` section."""

    supports_parts: ClassVar[bool] = False
    """Whether a group's members can each write their own part of a chunk."""

    supports_ragged: ClassVar[bool] = False
    """Whether outputs of dtype ``json`` (another shape in every row) can be stored."""

    supports_spans: ClassVar[bool] = False
    """Whether a part of a chunk can be read without decoding the whole chunk."""

    def __init__(self, options: Any, objects: ObjectStore) -> None:
        self.options = options
        self.store = objects

    def warm(self) -> None:  # noqa: B027 - most writers have little to import
        """Import what the other methods will need; called while there is time. May do nothing."""

    @abstractmethod
    def check(self, plan: WriterPlan) -> None:
        """Refuse a plan that cannot be stored, before anything is created.

        Raises:
            OutputError: unsupported dtype, unaligned chunk, name that cannot be used.
        """

    @abstractmethod
    def create(self, plan: WriterPlan) -> None:
        """Create the outputs' metadata. Called once by the driver; calling again is harmless."""

    @abstractmethod
    def open(self, plan: WriterPlan) -> None:
        """Prepare for reading and writing in this process. Called before the methods below."""

    @abstractmethod
    def objects(self, chunk: Chunk, part: int | None = None) -> Sequence[str]:
        """Keys of all objects of a chunk (or one part of it), in the order of its receipt.

        Derived from the chunk and the plan alone. Part-major: a chunk's keys are its parts' keys
        one after the other. A part without rows (at the end of a short last chunk) has none.
        """

    def leftovers(self, chunk: Chunk) -> Sequence[str]:
        """Keys that :meth:`finalize` leaves for a chunk that never committed.

        All of the chunk's objects by default; checks report any other as unexplained.
        """
        return self.objects(chunk)

    def documents(self) -> Mapping[str, Sequence[bytes]]:
        """Objects beside the chunks that :meth:`create` and :meth:`finalize` keep, none by default.

        Returns:
            Key to every content it may rightly have: before the run is complete, and after.
        """
        return {}

    @abstractmethod
    def write(
        self, chunk: Chunk, arrays: Arrays, valid: np.ndarray, part: int | None = None
    ) -> Receipt:
        """Write a chunk whole (or one whole part), replacing what is there.

        Args:
            chunk: The chunk.
            arrays: Every planned output, rows of the chunk (or part), fill values in place.
            valid: uint8 ``(rows,)``, see :class:`~foretell.types.Valid`; stored in the same commit.
            part: Which part, for a group member; None for the whole chunk.

        Returns:
            Sizes and crcs of exactly ``objects(chunk, part)``. Equal input gives equal bytes.

        Raises:
            LeaseLost: the driver's lease ran out; nothing more was put.
            StorageError: the storage refused; the chunk is not committed.
        """

    @abstractmethod
    def read(self, chunk: Chunk, names: Sequence[str] | None = None) -> tuple[Arrays, np.ndarray]:
        """Read a chunk back: (outputs by name, valid). The caller knows it is DONE.

        Raises:
            StoreError: an object is missing or does not decode.
        """

    def span_rows(self, name: str) -> int:
        """Rows of the least part of a chunk that has to be decoded. With ``supports_spans`` only.

        Args:
            name: Of an output, or ``valid``.
        """
        raise NotImplementedError("this writer reads whole chunks")

    def read_span(self, chunk: Chunk, name: str, start: int, stop: int) -> np.ndarray:
        """Read some rows of one output of a chunk. With ``supports_spans`` only.

        Args:
            chunk: The caller knows it is DONE.
            name: Of an output, or ``valid``.
            start, stop: Rows, counted from the chunk's first.

        Returns:
            What :meth:`read` gives for these rows; little more than them was decoded.

        Raises:
            StoreError: an object is missing or does not decode.
        """
        raise NotImplementedError("this writer reads whole chunks")

    @abstractmethod
    def finalize(self, complete: bool, valid: Mapping[int, np.ndarray]) -> None:
        """Finish the outputs. Called by the driver at the end of a run; may be called again.

        Args:
            complete: Whether every row was predicted; stored with the outputs.
            valid: For chunks that never committed: chunk id to uint8 ``(rows,)``.
        """

    def quarantine_note(self) -> str:
        """How a reader recognises rows without a prediction, one line for people."""
        return "valid == 2"
