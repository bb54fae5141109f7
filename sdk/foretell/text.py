"""Text from data, models, exceptions and file names, made safe to show.

Everything that reaches a terminal passes :func:`visible`. A character that would move the cursor,
start an escape sequence, reorder its neighbours or hide is replaced by its Python escape, so that
the reader sees that it is there and the terminal never does.
"""

from __future__ import annotations

import re
import shlex
import unicodedata

# Printable by category, but of no width: they hide text in text. Joiners and fillers, Khmer
# inherent vowels, variation selectors.
_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def visible(text: str, keep: str = "") -> str:
    """``text`` with every control, format, unassigned and zero-width character escaped.

    C0 and C1 controls, DEL, ESC, bidirectional controls, lone surrogates, line and paragraph
    separators, tags and zero-width characters become ``\\x1b``, ``\\u202e`` and so on. Applying it
    twice changes nothing more.

    Args:
        text: Anything.
        keep: Characters to leave as they are, usually ``"\\n"`` where lines may stay lines.
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _shown(char) or char in keep else _escape(char) for char in text)


def _shown(char: str) -> bool:
    if char.isprintable():
        return _HIDDEN.match(char) is None
    # The one non-printable category that is plain blank: no-break and ideographic spaces.
    return unicodedata.category(char) == "Zs"


def _escape(char: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    if short is not None:
        return short
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clip(text: str, width: int) -> str:
    """One safe line of at most ``width`` characters, the cut shown by an ellipsis."""
    line = visible(text)
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"


def word(text: object) -> str:
    """``text`` as one word of a shell command, so that a suggested command does what it says."""
    return shlex.quote(str(text))


def plural(count: int, noun: str, many: str = "") -> str:
    """``1 chunk``, ``1,000 chunks``."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def duration(seconds: float) -> str:
    """``48 s``, ``6m 20s``, ``5h 41m``, ``3d 4h``: two units at most."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def size(count: float) -> str:
    """Bytes with three digits: ``812 B``, ``4.19 MB``. Decimal units."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            break
        count /= 1000
    digits = 0 if unit == "B" or count >= 100 else 1 if count >= 10 else 2
    return f"{count:.{digits}f} {unit}"
