"""Lists of the dashboard as files: CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from foretell_tui.line import safe

KINDS = ("csv", "json")

Record = Mapping[str, Any]
"""One line of a list: plain data by column."""

_FORMULA = ("=", "+", "-", "@")
"""How a text begins that a spreadsheet would calculate."""


def as_text(records: Sequence[Record], kind: str) -> str:
    """The content of a file.

    Args:
        records: Lines of the list, all with the same columns.
        kind: One of ``KINDS``.
    """
    if kind == "json":
        return json.dumps(list(records), indent=1)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if records:
        writer.writerow(records[0])
    writer.writerows([_cell(value) for value in record.values()] for record in records)
    return out.getvalue()


def _cell(value: Any) -> str:
    """A value as a cell that no spreadsheet obeys, on one line."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return " ".join(map(_cell, value))
    text = safe(str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text
