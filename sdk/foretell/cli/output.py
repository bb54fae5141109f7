"""stdout is data: lines and tables for people, one document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from foretell.text import visible

DOCUMENT_VERSION = 1


def out(text: str = "") -> None:
    """One line of data, made safe."""
    sys.stdout.write(visible(text) + "\n")


def raw(text: str) -> None:
    """Text of our own making that has to arrive byte for byte: scripts, schemas, job files."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def document(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` with the name and version of its schema in front."""
    return {"schema": f"foretell.{name}", "version": DOCUMENT_VERSION, **data}


def emit(name: str, data: Mapping[str, Any]) -> None:
    """The one document of a ``--json`` command.

    NaN and infinity, which JSON does not have, become null.
    """
    sys.stdout.write(json_text(document(name, data), indent=2) + "\n")


def json_text(data: Mapping[str, Any], indent: int | None = None) -> str:
    """Plain data as JSON in printable ASCII, so nothing in it reaches a terminal."""
    return json.dumps(finite(data), indent=indent, allow_nan=False, default=str)


def finite(value: Any) -> Any:
    """``value`` with null for every number JSON cannot spell."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def table(rows: Iterable[Sequence[str]], gap: str = "   ", indent: str = "") -> list[str]:
    """Rows as aligned lines; the last column is not padded."""
    shown = [[visible(cell) for cell in row] for row in rows]
    if not shown:
        return []
    columns = max(len(row) for row in shown)
    widths = [
        max((len(row[i]) for row in shown if i < len(row)), default=0) for i in range(columns)
    ]
    return [
        indent + gap.join(f"{cell:<{widths[i]}}" for i, cell in enumerate(row)).rstrip()
        for row in shown
    ]
