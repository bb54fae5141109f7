"""The types of CSV columns, inferred from the whole source once and kept in the cache.

So a column has one type wherever a chunk begins: a value like ``n/a`` in the last row makes the
column text for the first row, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretell.builtin.sources.csv_parse import Parser
from foretell.builtin.sources.parts import canonical
from foretell.builtin.sources.textrows import Piece, TextRows
from foretell.paths import cache_dir

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 65_536
_NAMES = ("null", "bool", "int64", "double", "string")

Inferred = dict[str, tuple[str, bool]]
"""Column to (Arrow type name, whether any value is null)."""


def inferred_types(rows: TextRows, parser: Parser) -> Inferred:
    """The types of the parser's columns over all rows, from the cache or found now."""
    path = cache_dir() / "types" / f"{_key(rows, parser)}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        stored = json.loads(path.read_text())
        if list(stored) == list(parser.keep) and all(t in _NAMES for t, _ in stored.values()):
            return {name: (str(kind), bool(nulls)) for name, (kind, nulls) in stored.items()}
    types = _infer(rows, parser)
    _store(path, types)
    return types


def arrow_types(inferred: Inferred) -> Mapping[str, Any]:
    """The Arrow type of each column."""
    import pyarrow as pa

    made = {"bool": pa.bool_(), "int64": pa.int64(), "double": pa.float64()}
    return {name: made.get(kind, pa.string()) for name, (kind, _) in inferred.items()}


def _key(rows: TextRows, parser: Parser) -> str:
    dialect = parser.dialect
    settings = [dialect.delimiter, dialect.quote, dialect.encoding, *parser.names, "", *parser.keep]
    files = [[repr(file.path), file.size, file.mtime_ns] for file in rows.files]
    return hashlib.sha256(canonical([settings, files]).encode()).hexdigest()[:40]


def _infer(rows: TextRows, parser: Parser) -> Inferred:
    found: Inferred = dict.fromkeys(parser.keep, ("null", False))
    for start in range(0, len(rows), _ROWS):
        for piece in rows.read(start, min(start + _ROWS, len(rows))):
            for table in parser.parse(piece).tables if isinstance(piece, Piece) else ():
                for name in parser.keep:
                    found[name] = _join(found[name], table[name])
    # Arrow takes empty text for null when it infers numbers, but for text when it reads text.
    return {
        name: ("string", False) if kind in ("null", "string") else (kind, nulls)
        for name, (kind, nulls) in found.items()
    }


def _join(known: tuple[str, bool], values: pa.ChunkedArray) -> tuple[str, bool]:
    """The narrowest type that holds what was seen before and these values."""
    new = str(values.type)
    if new not in _NAMES:
        new = "string"
    kinds = {known[0], new} - {"null"}
    nulls = known[1] or values.null_count > 0
    if len(kinds) <= 1:
        return (kinds.pop() if kinds else "null", nulls)
    return ("double" if kinds == {"int64", "double"} else "string", nulls)


def _store(path: Path, types: Inferred) -> None:
    """Put the file in place whole; without a cache every process infers by itself."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, staged = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "w") as file:
            json.dump(types, file)
        os.replace(staged, path)
