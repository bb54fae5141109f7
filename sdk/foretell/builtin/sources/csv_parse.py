"""Parses rows of comma-separated values with Arrow, and knows which of them are broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.builtin.sources.textrows import Piece
from foretell.text import clip

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are told apart.

    Attributes:
        delimiter: One ASCII character.
        quote: One ASCII character, or "" when nothing is quoted.
        encoding: How text is encoded.
    """

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"


@dataclass(slots=True)
class Parsed:
    """The good rows of a piece, and why the others are not.

    Attributes:
        tables: The good rows in order.
        bad: Position within the piece to (kind, message).
    """

    tables: list[pa.Table] = field(default_factory=list)
    bad: dict[int, tuple[str, str]] = field(default_factory=dict)


class Parser:
    """Parses pieces of text into tables.

    Args:
        dialect: How fields are told apart.
        names: Names of all fields of a row.
        keep: The names wanted, in order.
        types: Arrow type of each wanted name; None to let Arrow infer them.
    """

    def __init__(
        self,
        dialect: Dialect,
        names: Sequence[str],
        keep: Sequence[str],
        types: Mapping[str, Any] | None,
    ) -> None:
        self.dialect, self.names, self.keep, self.types = dialect, names, keep, types

    def parse(self, piece: Piece) -> Parsed:
        """All rows of a piece."""
        parsed = Parsed()
        self._range(piece, 0, len(piece), parsed)
        return parsed

    def _range(self, piece: Piece, start: int, stop: int, parsed: Parsed) -> None:
        """Parse rows ``start`` to ``stop``, by halves where Arrow refuses the whole."""
        bad: dict[int, tuple[str, str]] = {}
        try:
            table = self._read(piece.data[piece.bounds[start] : piece.bounds[stop]], bad)
            if table.num_rows + len(bad) != stop - start:
                raise ValueError("the row cannot be told from its neighbours")
        except ValueError as error:
            if stop - start == 1:
                parsed.bad[start] = (_kind(error), clip(_reason(error), 200))
                return
            middle = (start + stop) // 2
            self._range(piece, start, middle, parsed)
            self._range(piece, middle, stop, parsed)
            return
        parsed.tables.append(table)
        parsed.bad.update({start + position: cause for position, cause in bad.items()})

    def _read(self, data: memoryview, bad: dict[int, tuple[str, str]]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.csv as arrow

        def refuse(row: Any) -> str:
            message = f"{row.actual_columns} fields where {row.expected_columns} are expected"
            bad[row.number - 1] = ("FieldCount", message)
            return "skip"

        text: Any = data
        if self.dialect.encoding != "utf-8":
            text = str(data, self.dialect.encoding).encode()
        return arrow.read_csv(
            pa.BufferReader(text),
            read_options=arrow.ReadOptions(
                use_threads=False, column_names=list(self.names), block_size=len(text) + 1
            ),
            parse_options=arrow.ParseOptions(
                delimiter=self.dialect.delimiter,
                quote_char=self.dialect.quote or False,
                newlines_in_values=bool(self.dialect.quote),
                invalid_row_handler=refuse,
            ),
            convert_options=arrow.ConvertOptions(
                include_columns=list(self.keep), column_types=self.types
            ),
        )


def _kind(error: ValueError) -> str:
    return "UnicodeDecodeError" if "UTF8" in str(error) else type(error).__name__


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not {error.encoding}: {error.reason}"
    return "not utf-8" if "UTF8" in str(error) else str(error)


def positions(piece: Piece, parsed: Parsed) -> np.ndarray:
    """int64: where the good rows stand within the piece."""
    good = np.ones(len(piece), dtype=bool)
    good[list(parsed.bad)] = False
    return np.flatnonzero(good)
