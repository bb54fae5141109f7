"""Rows from comma-separated values, parsed by Arrow."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from foretell.abc import Source, SourceOptions
from foretell.abc.options import PATH
from foretell.builtin.sources.csv_header import first_row
from foretell.builtin.sources.csv_parse import Dialect, Parsed, Parser
from foretell.builtin.sources.csv_rows import CsvRows
from foretell.builtin.sources.csv_types import arrow_types, inferred_types
from foretell.builtin.sources.encodings import check_encoding
from foretell.builtin.sources.files import DataFile, find_files, near_names, setting
from foretell.builtin.sources.parts import file_parts
from foretell.builtin.sources.scan import LineScanner, QuotedScanner
from foretell.builtin.sources.tables import Column, column_of, spec_of
from foretell.builtin.sources.textrows import MAX_ROW_BYTES, Piece, TextRows
from foretell.errors import LoadError
from foretell.text import visible
from foretell.types import Layout, Rows, SourceSpec

SUFFIXES = (".csv", ".tsv")
"""Files of a folder that are read."""

_CHAR = r"[\x01-\x09\x0b\x0c\x0e-\x7f]"


class CsvOptions(SourceOptions):
    """``[source] kind = "csv"``."""

    kind: str = Field(default="csv", description="Which registered implementation to use.")
    path: str = Field(
        description="File, folder, or pattern such as data/*.csv.", json_schema_extra=PATH
    )
    delimiter: str | None = Field(
        default=None,
        pattern=f"^{_CHAR}$",
        description="The character between fields; a comma, or a tab in files named .tsv.",
    )
    quote: str = Field(
        default='"',
        pattern=f"^{_CHAR}?$",
        description='The character around fields that hold delimiters or line ends; "" for none.',
    )
    header: bool = Field(
        default=True, description="Whether the first row of every file names the columns."
    )
    names: tuple[str, ...] = Field(
        default=(), description="Names of the columns where there is no header."
    )
    columns: tuple[str, ...] = Field(
        default=(), description="The columns to read, in this order; all when empty."
    )
    types: Literal["string", "infer"] = Field(
        default="string",
        description="string: every value is text; infer: numbers and booleans, from all rows.",
    )
    layout: Literal["records", "columns"] = Field(
        default="records", description="records: a list of dicts; columns: a dict of arrays."
    )
    encoding: str = Field(
        default="utf-8", description="How text is encoded; not one of the UTF-16 or UTF-32 family."
    )

    @model_validator(mode="after")
    def _two_characters(self) -> CsvOptions:
        if self.quote == (self.delimiter or ","):
            raise ValueError("delimiter and quote must be two different characters")
        return self


class CsvSource(Source):
    """One row per record of comma-separated values, quoted line ends honoured.

    Values are text unless ``types = "infer"``; the inferred types are those of the whole source. A
    record with another number of fields, or text that does not decode, is that row's error. Blank
    lines are no rows. How columns look as arrays: :mod:`foretell.builtin.sources.tables`.

    Args:
        options: The settings.

    Raises:
        LoadError: nothing to read, compressed, headers that differ or lack a wanted column.
    """

    Options: ClassVar[type[SourceOptions]] = CsvOptions

    def __init__(self, options: CsvOptions) -> None:
        check_encoding(options.encoding)
        self._options = options
        self._files = find_files(options, "csv", SUFFIXES)
        default = "\t" if self._files[0].name.endswith(".tsv") else ","
        self._dialect = Dialect(options.delimiter or default, options.quote, options.encoding)
        self._layout = Layout(options.layout)
        scanned = f"csv {self._dialect.delimiter!r} {self._dialect.quote!r}"
        skip = int(options.header)
        self._rows = TextRows(
            self._files, options, scanned, self._scanner, skip=skip, check=self._check_header
        )
        self._names = self._find_names()
        self._keep = self._choose()
        self._lock = threading.Lock()
        self._made: tuple[Parser, dict[str, Column]] | None = None

    # --- columns ------------------------------------------------------------------------------

    def _scanner(self, offset: int) -> LineScanner:
        quote = ord(self._dialect.quote) if self._dialect.quote else None
        return QuotedScanner(offset, ord(self._dialect.delimiter), quote)

    def _find_names(self) -> list[str]:
        """Names of all fields, from the first file that holds anything."""
        fields = next((f for file in self._files if (f := self._first_row(file))), [])
        if self._options.header:
            self._check_names(fields)
            return fields
        names = list(self._options.names) or [f"column_{i}" for i in range(len(fields))]
        self._check_names(names)
        return names

    def _check_names(self, names: Sequence[str]) -> None:
        twice = next((name for name, times in Counter(names).items() if times > 1), None)
        if twice is not None:
            raise LoadError(
                "two columns have the same name",
                facts=[("column", visible(twice)), setting(self._options)],
                tries=[("header = false, names = [...]", "to name them yourself")],
            )

    def _choose(self) -> list[str]:
        known = set(self._names)
        for name in self._options.columns:
            if known and name not in known:
                near = near_names(name, self._names)
                raise LoadError(
                    "the source has no such column",
                    facts=[
                        ("column", visible(name)),
                        ("columns", visible(", ".join(self._names[:50]))),
                        setting(self._options),
                    ],
                    tries=[(f'columns = ["{visible(other)}"]', "") for other in near],
                )
        return list(self._options.columns) or self._names

    def _first_row(self, file: DataFile) -> list[str]:
        return first_row(file, self._dialect, self._scanner)

    def _check_header(self, number: int) -> None:
        """Refuse a file whose header differs from the first one's."""
        fields = self._first_row(self._files[number]) if self._options.header else []
        if fields and fields != self._names:
            raise LoadError(
                "the files have different columns",
                facts=[
                    ("first", visible(", ".join(self._names))),
                    (self._files[number].label, visible(", ".join(fields))),
                ],
            )

    def _parser(self) -> tuple[Parser, dict[str, Column]]:
        with self._lock:
            if self._made is None:
                self._made = self._make_parser()
            return self._made

    def _make_parser(self) -> tuple[Parser, dict[str, Column]]:
        import pyarrow as pa

        types = dict.fromkeys(self._keep, ("string", False))
        if self._options.types == "infer":
            free = Parser(self._dialect, self._names, self._keep, None)
            types = inferred_types(self._rows, free)
        arrow = arrow_types(types)
        columns = {name: column_of(arrow[name], types[name][1]) for name in self._keep}
        if any(kind == pa.string() for kind in arrow.values()):
            # Text of one range may pass the 2 GiB that 32-bit offsets reach.
            arrow = {n: pa.large_string() if t == pa.string() else t for n, t in arrow.items()}
        return Parser(self._dialect, self._names, self._keep, arrow), columns

    # --- the contract -------------------------------------------------------------------------

    @property
    def spec(self) -> SourceSpec:
        return spec_of(self._parser()[1], self._layout)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> Rows:
        parser, columns = self._parser()
        out = CsvRows(start, stop, self._layout, columns)
        for piece in self._rows.read(start, stop):
            if isinstance(piece, Piece):
                parsed = parser.parse(piece)
                self._note_unclosed(piece, parsed)
                out.add(piece, parsed)
            else:
                out.skip(f"the row is longer than {MAX_ROW_BYTES:,} bytes")
        return out.rows(self.locate)

    def _note_unclosed(self, piece: Piece, parsed: Parsed) -> None:
        last = len(piece) - 1
        if self._rows.index.unclosed(piece.file, piece.first + last):
            parsed.bad[last] = ("UnclosedQuote", "a quoted field is never closed")

    def fingerprint(self) -> Mapping[str, str]:
        names = ("header", "names", "columns", "types", "layout", "encoding", "quote")
        settings: dict[str, Any] = {name: getattr(self._options, name) for name in names}
        settings["delimiter"] = self._dialect.delimiter
        return file_parts(self._files, self._options, settings)

    def locate(self, row: int) -> str:
        try:
            return self._rows.locate(row)
        except Exception:
            return super().locate(row)

    def row_bytes(self) -> int | None:
        boxed = 60 * max(1, len(self._keep))
        return int(self._rows.mean_bytes()) + boxed
