"""Tells failures of one cause from those of another."""

from __future__ import annotations

import hashlib
import re
import sysconfig

_FRAME = re.compile(r'^ *File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<name>.+)$', re.M)
_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:[\w.\-+~@]*/)+[\w.\-+~@]*")
_HEX = re.compile(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{12,}\b")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?")
_LIBRARIES = tuple(
    {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def mask(message: str) -> str:
    """A message without what differs between failures of one cause: paths, addresses, numbers.

    >>> mask("row 17 of /data/a.csv is 0.5 too long")
    'row N of PATH is N too long'
    """
    return _NUMBER.sub("N", _HEX.sub("N", _PATH.sub("PATH", message)))


def user_frame(traceback: str) -> str:
    """The innermost line of a traceback that is the user's own code: ``unet.py:41 in build``.

    The innermost line of all where there is none; empty without a traceback.
    """
    frames = list(_FRAME.finditer(traceback))
    own = [frame for frame in frames if not _is_library(frame["file"])]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    return f"{frame['file'].rpartition('/')[2]}:{frame['line']} in {frame['name']}"


def cause_of(kind: str, message: str, frame: str) -> str:
    """Equal for equal kinds, equal masked messages and equal frames."""
    text = "\0".join((kind, mask(message), frame))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def cut(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` bytes of UTF-8; what is left out is in the middle and named."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    note = f"\n… {len(data) - limit} bytes left out …\n".encode()
    head = max(0, (limit - len(note)) // 3)
    tail = max(0, limit - len(note) - head)
    short = data[:head] + note + data[len(data) - tail :]
    return short.decode("utf-8", "ignore")[:limit]


def _is_library(file: str) -> bool:
    return (
        file.startswith(("<frozen", "<string>"))
        or "site-packages/" in file
        or "/foretell/" in file
        or file.startswith(_LIBRARIES)
    )
