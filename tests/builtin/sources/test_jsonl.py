"""What the jsonl source says of lines it cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest
from foretell.builtin.sources.jsonl import JsonlOptions, JsonlSource


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "no end\n', "not JSON: Invalid control character"),
        (b'{"text" 1}\n', "not JSON: Expecting ':' delimiter"),
        (b'{"text": "\xff"}\n', "not utf-8: invalid start byte"),
    ],
)
def test_reasons_are_whole_phrases(tmp_path: Path, line: bytes, reason: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"text": "fine"}\n' + line)
    source = JsonlSource(JsonlOptions(path="x.jsonl").at(tmp_path))
    (error,) = source.read(0, 2).errors
    assert (error.row, error.message, error.locator) == (1, reason, "x.jsonl:2")
