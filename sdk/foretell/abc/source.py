"""A source gives rows by range."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from foretell.abc.options import SourceOptions
from foretell.errors import LoadError
from foretell.types import Rows, SourceSpec


class Source(ABC):
    """Rows of input, numbered ``0 .. len(self) - 1``.

    A source is built from its options in the driver and, again, in every worker process; it is
    never sent between them. Building one opens the data and checks that it can be read (a
    :class:`~foretell.errors.LoadError` says what is wrong), but reads no more than it must.
    ``read`` is called from several threads of a worker at once.
    """

    Options: ClassVar[type[SourceOptions]] = SourceOptions
    """Settings class of the ``[source]`` section."""

    supports_coords: ClassVar[bool] = False
    """Whether :meth:`coords` returns something."""

    unit: str = "rows"
    """What one row is called in rates: rows, tiles, tokens …"""

    @classmethod
    def from_options(cls, options: Any) -> Source:
        """Build the source from its validated settings; ``cls(options)`` by default.

        Raises:
            LoadError: the data is missing or unreadable, naming the path and where it came from.
        """
        return cls(options)  # type: ignore[call-arg]

    @classmethod
    def recognises(cls, data: object) -> bool:
        """Whether ``foretell.predict(source=data)`` should use this kind. Must not import much."""
        return False

    @classmethod
    def from_live(cls, options: Any, data: object) -> Source:
        """Build the source around live data.

        Raises:
            LoadError: this kind takes no live data.
        """
        raise LoadError(
            f"source {options.kind!r} takes no live data",
            facts=[("source", type(data).__name__)],
            tries=[('source="path"', "a file or folder")],
        )

    @property
    @abstractmethod
    def spec(self) -> SourceSpec:
        """What one row looks like."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows. Must not change while a run lasts."""

    @abstractmethod
    def read(self, start: int, stop: int) -> Rows:
        """Read rows ``start`` (included) to ``stop`` (excluded), ``0 <= start <= stop <= len``.

        Returns:
            Exactly ``stop - start`` rows in order. Rows that cannot be used (unparsable, missing
            tile) are listed in ``errors`` and hold a placeholder; they never fail the range.

        Raises:
            OSError: the storage failed; the engine retries the chunk.
            LoadError: the data changed since the source was opened; what was predicted stays.
        """

    @abstractmethod
    def fingerprint(self) -> Mapping[str, str]:
        """Named parts that identify the content, e.g. ``{"tiles.zarr": "sha256:…"}``.

        Equal parts mean: the same rows in the same order. Must be cheap with
        ``fingerprint = "stat"``; ``"content"`` reads everything.
        """

    def locate(self, row: int) -> str:
        """Where row ``row`` comes from, for people: ``reviews.jsonl:41``. Never raises."""
        return f"row {row}"

    def coords(self) -> Mapping[str, Any]:
        """Coordinates along the sample dimension, name to array ``(len,)``; empty by default."""
        return {}

    def row_grid(self) -> tuple[int, ...] | None:
        """How rows lie in space (row-major shape whose product is ``len``), for maps."""
        return None

    def cost(self, start: int, stop: int) -> float:
        """Expected work of a range relative to others; the number of rows by default."""
        return float(stop - start)

    def row_bytes(self) -> int | None:
        """Bytes of one row in memory, or None when unknown before reading."""
        return None

    def close(self) -> None:  # noqa: B027 - most sources hold nothing open
        """Release files. Called once per process at the end."""
