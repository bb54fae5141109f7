"""Where in a TOML file each key stands: ``tomllib`` gives values without places.

The scanner only finds lines. It runs on text that ``tomllib`` has already accepted, so it never
has to judge, and a construct it does not know costs a line number, not correctness.

Source: TOML 1.0.0, https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

Key = tuple[str, ...]

_PART = re.compile(r"""[ \t]*("(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'",
    re.DOTALL,
)


def key_lines(text: str) -> dict[Key, int]:
    """Line (from 1) of every key and table header, by its full path.

    Keys of inline tables are found too. In an array of tables the last one counts.
    """
    return dict(_Scanner(text).pairs())


class _Scanner:
    """Walks the text once; ``at`` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0

    def pairs(self) -> Iterator[tuple[Key, int]]:
        table: Key = ()
        while self._skip_blank():
            start = self.at
            if self.text[start] == "[":
                self.at += 2 if self.text.startswith("[[", start) else 1
                table = self._key()
                yield from self._prefixes((), table, start)
                self._skip_line()
            else:
                yield from self._assignment(table)

    def _assignment(self, table: Key) -> Iterator[tuple[Key, int]]:
        start = self.at
        key = self._key()
        if not key or not self.text.startswith("=", self.at):
            self._skip_line()
            return
        yield from self._prefixes(table, key, start)
        self.at += 1
        yield from self._value(table + key)

    def _value(self, key: Key) -> Iterator[tuple[Key, int]]:
        self._skip_blank()
        char = self.text[self.at : self.at + 1]
        if char == "{":
            yield from self._inline_table(key)
        elif char == "[":
            yield from self._array(key)
        elif string := _STRING.match(self.text, self.at):
            self.at = string.end()
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}\n#":
                self.at += 1

    def _inline_table(self, key: Key) -> Iterator[tuple[Key, int]]:
        self.at += 1
        while self._skip_blank(",") and self.text[self.at] != "}":
            before = self.at
            yield from self._assignment(key)
            if self.at == before:
                return
        self.at += 1

    def _array(self, key: Key) -> Iterator[tuple[Key, int]]:
        self.at += 1
        while self._skip_blank(",") and self.text[self.at] != "]":
            before = self.at
            yield from self._value(key)
            if self.at == before:
                return
        self.at += 1

    def _key(self) -> Key:
        parts: list[str] = []
        while part := _PART.match(self.text, self.at):
            parts.append(_unquote(part[1]))
            self.at = part.end()
            if not self.text.startswith(".", self.at):
                break
            self.at += 1
        return tuple(parts)

    def _prefixes(self, table: Key, key: Key, start: int) -> Iterator[tuple[Key, int]]:
        line = self.text.count("\n", 0, start) + 1
        for length in range(1, len(key) + 1):
            yield table + key[:length], line

    def _skip_blank(self, also: str = "") -> bool:
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                self._skip_line()
            elif self.text[self.at].isspace() or self.text[self.at] in also:
                self.at += 1
            else:
                return True
        return False

    def _skip_line(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end + 1


def _unquote(part: str) -> str:
    if part.startswith("'"):
        return part[1:-1]
    if part.startswith('"'):
        try:
            return str(json.loads(part))
        except ValueError:
            return part[1:-1]
    return part
