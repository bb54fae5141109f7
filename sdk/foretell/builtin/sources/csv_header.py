"""The first row of a CSV file, which usually names the columns."""

from __future__ import annotations

import csv
import io
import os

from foretell.builtin.sources.csv_parse import Dialect
from foretell.builtin.sources.files import DataFile, opening
from foretell.builtin.sources.index import NewScanner
from foretell.errors import LoadError
from foretell.text import visible

_BOM = b"\xef\xbb\xbf"
_BLOCK = 65_536
_LONGEST = 16 * 2**20


def first_row(file: DataFile, dialect: Dialect, scanner: NewScanner) -> list[str]:
    """The fields of a file's first row; empty when the file has none.

    Raises:
        LoadError: it cannot be read or parsed.
    """
    try:
        with opening(file.path):
            row = _first_bytes(file, scanner)
        return _fields(row, dialect)
    except (ValueError, csv.Error) as error:
        raise LoadError(
            "the first row cannot be read",
            facts=[("file", visible(file.path)), ("reason", visible(str(error)))],
        ) from error


def _first_bytes(file: DataFile, scanner: NewScanner) -> bytes:
    with open(file.path, "rb", buffering=0) as handle:
        begin = len(_BOM) if os.pread(handle.fileno(), len(_BOM), 0) == _BOM else 0
        scan, data = scanner(begin), b""
        while len(data) < _LONGEST:
            block = os.pread(handle.fileno(), _BLOCK, begin + len(data))
            data += block
            found = scan.feed(block, last=len(block) < _BLOCK)
            if len(found.starts):
                return data[int(found.starts[0]) - begin : int(found.stops[0]) - begin]
            if len(block) < _BLOCK:
                return b""
    raise ValueError(f"longer than {_LONGEST:,} bytes")


def _fields(row: bytes, dialect: Dialect) -> list[str]:
    text = io.StringIO(row.decode(dialect.encoding), newline="")
    if not dialect.quote:
        return next(csv.reader(text, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE), [])
    return next(csv.reader(text, delimiter=dialect.delimiter, quotechar=dialect.quote), [])
