"""What people type to filter chunks, and to go to one.

A filter is words, each of which must hold: a state (``failed``, ``bad`` for all that lost
something), a worker (``w03``), a duration (``>5s``, ``<200ms``), ids (``100-200``). ``!`` before a
word turns it around. Sorting is a word too: ``slowest``, ``newest``, ``attempts``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from foretell_tui.look import HOLES, NAMES

SORTS = ("id", "slowest", "newest", "worker", "attempts")

_STATES: dict[str, tuple[int, ...]] = {name: (code,) for code, name in enumerate(NAMES[:8])}
_STATES |= {"lost": (HOLES,), "bad": (4, 5, 6, HOLES), "open": (0, 1, 2), "retry": (2,), "q": (5,)}
_WORKER = re.compile(r"w(?:orker:?)?(\d{1,6})\Z")
_SECONDS = re.compile(r"([<>])(\d{1,9}(?:\.\d+)?)(ms|s|m)?\Z")
_IDS = re.compile(r"(\d{1,15})(?:-(\d{1,15}))?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


class BadQuery(ValueError):
    """A filter that means nothing; the text says what may be typed."""


@dataclass(frozen=True, slots=True)
class Test:
    """One word of a filter.

    Attributes:
        kind: ``state``, ``worker``, ``seconds`` or ``ids``.
        inverse: Whether it must not hold.
        codes: For ``state``.
        low, high: For the others, both included.
    """

    kind: str
    inverse: bool = False
    codes: tuple[int, ...] = ()
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class Query:
    """A filter and an order.

    Attributes:
        text: As typed.
        tests: All must hold.
        sort: One of ``SORTS``.
    """

    text: str = ""
    tests: tuple[Test, ...] = ()
    sort: str = "id"


def parse(text: str, sort: str = "id") -> Query:
    """The filter that ``text`` spells.

    Raises:
        BadQuery: a word means nothing.
    """
    tests = []
    for word in text.lower().split():
        if word in SORTS:
            sort = word
            continue
        tests.append(_test(word.lstrip("!"), word.startswith("!")))
    return Query(text, tuple(tests), sort)


def _test(word: str, inverse: bool) -> Test:
    if word in _STATES:
        return Test("state", inverse, _STATES[word])
    if found := _WORKER.match(word):
        return Test("worker", inverse, low=int(found[1]))
    if found := _SECONDS.match(word):
        limit = float(found[2]) * _UNITS[found[3]]
        low, high = (limit, math.inf) if found[1] == ">" else (0.0, limit)
        return Test("seconds", inverse, low=low, high=high)
    if found := _IDS.match(word):
        low = int(found[1])
        return Test("ids", inverse, low=low, high=int(found[2] or low))
    raise BadQuery(f"{word!r} is no filter: a state (failed, bad), w03, >5s, 100-200")


def parse_place(text: str, n_chunks: int, chunk_rows: int, n_rows: int) -> int:
    """The chunk that ``text`` names: an id, or ``row 12345``.

    Raises:
        BadQuery: there is no such chunk.
    """
    words = text.lower().replace(",", "").split()
    try:
        if len(words) == 2 and words[0] in ("row", "r"):
            row = int(words[1])
            if not 0 <= row < n_rows:
                raise BadQuery(f"there is no row {row:,}: the run has {n_rows:,}")
            return row // chunk_rows
        chunk = int(words[-1] if len(words) == 2 and words[0] in ("chunk", "c") else text)
    except (ValueError, IndexError) as error:
        if isinstance(error, BadQuery):
            raise
        raise BadQuery(f"{text!r} is no chunk: type an id, or: row 12345") from None
    if not 0 <= chunk < n_chunks:
        raise BadQuery(f"there is no chunk {chunk:,}: the run has {n_chunks:,}")
    return chunk
