"""``kind = "prompts"``: prompts from JSON lines, JSON documents, folders of these, or inline.

============================  ===================================================================
``path``, ``data_dir``        rows
============================  ===================================================================
a ``.jsonl`` file             one for each line that is not blank
a ``.json`` file              one for each item of an array; one for anything else
a folder                      those of all such files in it and below, in the order of their names
inline JSON                   as a ``.json`` file: text that begins with ``{``, ``[`` or ``"``
a list of these               one after the other
============================  ===================================================================

A row is an object with the key ``prompt_key``, or a text, which is then the prompt itself. It is
given to the predictor as a record, the prompt under that key. A row without the key is that row's
error and names file and line.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from foretell.abc import Source
from foretell.builtin.sources.files import DataFile, find_files
from foretell.builtin.sources.parts import canonical, file_parts, sha256
from foretell.builtin.sources.scan import LineScanner
from foretell.builtin.sources.textrows import Piece, TextRows
from foretell.errors import ConfigError, LoadError
from foretell.text import clip, visible
from foretell.types import Layout, RowError, Rows, SourceSpec

from foretell_accelerator.settings import PromptOptions

SUFFIXES = (".jsonl", ".json")
"""Files of a folder that are read."""

_RECORD_BYTES = 240


class _Part(ABC):
    """Rows that come from one place."""

    label: str

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, start: int, stop: int) -> Iterator[Any | ValueError]:
        """Items, or why one cannot be parsed."""

    @abstractmethod
    def locate(self, row: int) -> str:
        """Where a row stands."""


class _Lines(_Part):
    """A file of JSON lines, read by range."""

    def __init__(self, file: DataFile, options: PromptOptions) -> None:
        self.label = file.label
        self._rows = TextRows([file], options, "lines", LineScanner)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int) -> Iterator[Any | ValueError]:
        for piece in self._rows.read(start, stop):
            if not isinstance(piece, Piece):
                yield ValueError("the line is too long")
                continue
            for begin, end in pairwise(piece.bounds.tolist()):
                yield _parsed(bytes(piece.data[begin:end]))

    def locate(self, row: int) -> str:
        return self._rows.locate(row)


class _Items(_Part):
    """A JSON document, held in memory.

    Args:
        text: The document.
        label: What it is called.
        lines: Whether rows are told by line (a file) or by number (inline).
    """

    def __init__(self, text: str, label: str, *, lines: bool) -> None:
        self.label = label
        try:
            self._items, self._lines = _array(text) if _is_array(text) else ([json.loads(text)], [])
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 0)
            raise LoadError(
                "a file of prompts is not JSON",
                facts=[
                    ("file", f"{label}:{line}" if line and lines else label),
                    ("cause", clip(getattr(error, "msg", str(error)), 200)),
                ],
                tries=[("the ending .jsonl", "for one document a line")] if lines else [],
                slug="source-prompts",
            ) from error
        self._by_line = lines

    def __len__(self) -> int:
        return len(self._items)

    def read(self, start: int, stop: int) -> Iterator[Any | ValueError]:
        yield from self._items[start:stop]

    def locate(self, row: int) -> str:
        if self._by_line:
            return f"{self.label}:{self._lines[row] if self._lines else 1}"
        return f"{self.label}[{row}]" if self._lines else self.label


class PromptSource(Source):
    """Records with a prompt each.

    Args:
        options: Settings.

    Raises:
        ConfigError: nothing names the prompts.
        LoadError: a file is missing, unreadable, or no JSON.
    """

    Options = PromptOptions
    unit: str = "prompts"

    def __init__(self, options: PromptOptions) -> None:
        self._options = options
        places = _places(options)
        if not places:
            raise ConfigError(
                "the job names no prompts",
                facts=[("missing", "source.path")],
                tries=[('path = "prompts.jsonl"', "or data_dir: files, folders, inline JSON")],
                slug="source-prompts",
            )
        self._files: list[DataFile] = []
        self._inline: list[str] = []
        self._parts = [part for place in places for part in self._opened(place)]
        self._ends = list(accumulate(len(part) for part in self._parts))
        total = self._ends[-1] if self._ends else 0
        most = options.examples_to_generate
        self._length = total if most is None else min(total, most)

    def _opened(self, place: str) -> Iterator[_Part]:
        text = place.strip()
        if text[:1] in ("{", "[", '"'):
            self._inline.append(text)
            yield _Items(text, f"inline {len(self._inline)}", lines=False)
            return
        named = self._options.model_copy(update={"path": place})
        for file in find_files(named, "prompts", SUFFIXES):
            self._files.append(file)
            if file.name.endswith(".json"):
                content = Path(file.path).read_bytes()
                yield _Items(_text(content, file.label), file.label, lines=True)
            else:
                yield _Lines(file, self._options)

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(Layout.RECORDS)

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> Rows:
        records: list[Any] = []
        errors: list[RowError] = []
        for item in self._items(start, stop):
            record, why = self._record(item)
            if why is not None:
                row = start + len(records)
                errors.append(RowError(row, why[0], why[1], self.locate(row)))
            records.append(record)
        return Rows(records, tuple(errors))

    def _items(self, start: int, stop: int) -> Iterator[Any]:
        while start < stop:
            number, within = self._place(start)
            after = min(stop, self._ends[number])
            yield from self._parts[number].read(within, within + after - start)
            start = after

    def _place(self, row: int) -> tuple[int, int]:
        number = bisect_right(self._ends, row)
        return number, row - (self._ends[number - 1] if number else 0)

    def _record(self, item: Any) -> tuple[Any, tuple[str, str] | None]:
        key = self._options.prompt_key
        empty = {key: ""}
        if isinstance(item, ValueError):
            return empty, ("JSONDecodeError", clip(str(item), 200))
        if isinstance(item, str):
            return {key: item}, None
        if not isinstance(item, Mapping):
            return empty, ("TypeError", f"neither an object nor a text: {type(item).__name__}")
        if key not in item:
            known = ", ".join(visible(str(name)) for name in item) or "none"
            return empty, ("KeyError", f"no key {key!r}; its keys: {clip(known, 120)}")
        if not isinstance(item[key], str):
            return empty, ("TypeError", f"{key!r} is {type(item[key]).__name__}, not text")
        return dict(item), None

    def locate(self, row: int) -> str:
        try:
            number, within = self._place(row)
            return self._parts[number].locate(within)
        except Exception:
            return super().locate(row)

    def fingerprint(self) -> Mapping[str, str]:
        key, most = self._options.prompt_key, self._options.examples_to_generate
        parts = {"settings": canonical({"prompt_key": key, "examples_to_generate": most})}
        if self._files:
            parts |= file_parts(self._files, self._options, {"prompt_key": key})
            parts["settings"] = canonical({"prompt_key": key, "examples_to_generate": most})
        # Told apart by content, so that moving the files is no change.
        parts["data_dir"] = sha256(text.encode() for text in self._inline)
        return parts

    def row_bytes(self) -> int | None:
        total = sum(file.size for file in self._files) + sum(map(len, self._inline))
        whole = self._ends[-1] if self._ends else 0
        return 3 * total // max(1, whole) + _RECORD_BYTES


def _places(options: PromptOptions) -> Sequence[str]:
    given = options.data_dir
    several = [] if given is None else [given] if isinstance(given, str) else list(given)
    return several if options.path is None else [options.path, *several]


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        told = getattr(error, "msg", None) or str(error)
        return ValueError(f"not JSON: {told}")


def _text(content: bytes, label: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LoadError(
            "a file of prompts is not UTF-8",
            facts=[("file", label), ("cause", f"{error.reason} at byte {error.start:,}")],
            slug="source-prompts",
        ) from error


def _is_array(text: str) -> bool:
    return text.lstrip().startswith("[")


def _array(text: str) -> tuple[list[Any], list[int]]:
    """The items of a JSON array, and the line of each."""
    whole = json.loads(text)  # says what is wrong, and where
    decoder = json.JSONDecoder()
    items: list[Any] = []
    lines: list[int] = []
    at, line, counted = text.index("[") + 1, 1, 0
    while len(items) < len(whole):
        while text[at] in " \t\r\n,":
            at += 1
        line += text.count("\n", counted, at)
        counted = at
        item, at = decoder.raw_decode(text, at)
        items.append(item)
        lines.append(line)
    return items, lines
