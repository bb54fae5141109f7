"""Rows from JSON lines: one JSON value a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

from pydantic import Field

from foretell.abc import Source, SourceOptions
from foretell.abc.options import PATH
from foretell.builtin.sources.encodings import check_encoding
from foretell.builtin.sources.files import find_files
from foretell.builtin.sources.parts import file_parts
from foretell.builtin.sources.scan import LineScanner
from foretell.builtin.sources.textrows import MAX_ROW_BYTES, Piece, TextRows
from foretell.text import clip
from foretell.types import Layout, RowError, Rows, SourceSpec

SUFFIXES = (".jsonl", ".ndjson")
"""Files of a folder that are read."""

_RECORD_BYTES = 240


class JsonlOptions(SourceOptions):
    """``[source] kind = "jsonl"``."""

    kind: str = Field(default="jsonl", description="Which registered implementation to use.")
    path: str = Field(
        description="File, folder, or pattern such as data/*.jsonl.", json_schema_extra=PATH
    )
    encoding: str = Field(
        default="utf-8", description="How text is encoded; not one of the UTF-16 or UTF-32 family."
    )


class JsonlSource(Source):
    """One row per line that is not blank: whatever JSON value it holds, usually an object.

    Where the lines are is indexed once, into the cache. A line that cannot be parsed is that row's
    error, and its placeholder is None. Lines end with LF or CR LF; the last one need not.

    Args:
        options: The settings.

    Raises:
        LoadError: there is nothing to read, or it is compressed.
    """

    Options: ClassVar[type[SourceOptions]] = JsonlOptions

    def __init__(self, options: JsonlOptions) -> None:
        check_encoding(options.encoding)
        self._options = options
        self._encoding = options.encoding
        self._files = find_files(options, "jsonl", SUFFIXES)
        self._rows = TextRows(self._files, options, "lines", LineScanner)

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(Layout.RECORDS)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> Rows:
        examples: list[Any] = []
        errors: list[RowError] = []
        for piece in self._rows.read(start, stop):
            if isinstance(piece, Piece):
                self._parse(piece, start, examples, errors)
            else:
                text = f"the line is longer than {MAX_ROW_BYTES:,} bytes"
                errors.append(self._error(start + len(examples), "TooLong", text))
                examples.append(None)
        return Rows(examples, tuple(errors))

    def _parse(self, piece: Piece, start: int, examples: list[Any], errors: list[RowError]) -> None:
        data, encoding, bounds = piece.data, self._encoding, piece.bounds.tolist()
        for begin, end in pairwise(bounds):
            try:
                examples.append(json.loads(str(data[begin:end], encoding)))
            except (ValueError, RecursionError) as error:
                row = start + len(examples)
                errors.append(self._error(row, type(error).__name__, _reason(error)))
                examples.append(None)

    def _error(self, row: int, kind: str, message: str) -> RowError:
        return RowError(row, kind, message, self.locate(row))

    def fingerprint(self) -> Mapping[str, str]:
        return file_parts(self._files, self._options, {"encoding": self._encoding})

    def locate(self, row: int) -> str:
        try:
            return self._rows.locate(row)
        except Exception:
            return super().locate(row)

    def row_bytes(self) -> int | None:
        # Keys are shared, values are boxed: a parsed record takes about three times its text.
        return int(3 * self._rows.mean_bytes()) + _RECORD_BYTES


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg.removesuffix(' at')}"
    if isinstance(error, UnicodeDecodeError):
        return f"not {error.encoding}: {error.reason}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return clip(str(error), 200)
