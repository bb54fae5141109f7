"""Documents that know when they are damaged: a line of JSON that ends in a crc of everything.

``{"format":"…",…,"crc":"1a2b3c4d"}`` and a newline, then an optional body. The crc32c covers the
line up to the comma before ``"crc"`` and the whole body, so that any flipped, missing or added byte
is noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import google_crc32c

_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_TAIL = re.compile(rb',"crc":"([0-9a-f]{8})"\}\Z')


class Broken(ValueError):
    """The bytes are not what :func:`seal` made. The text says how, one phrase."""


def dumps(value: Any) -> str:
    """Compact JSON, the same text for the same value on every Python."""
    return _ENCODER.encode(value)


def seal(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """The sealed bytes of a non-empty ``head`` and a body."""
    start = dumps(dict(head)).encode()[:-1]
    return b"%s,%s%s" % (start, b'"crc":"%08x"}\n' % _crc(start, body), body)


def unseal(data: bytes) -> tuple[dict[str, Any], bytes]:
    """``head`` and body of sealed bytes.

    Raises:
        Broken: a single bit is not as it was sealed.
    """
    end = data.find(b"\n")
    if end < 0:
        raise Broken("the first line is cut off" if data else "it is empty")
    found = _TAIL.search(data, 0, end)
    if found is None:
        raise Broken("the first line has no checksum")
    body = data[end + 1 :]
    if b"%08x" % _crc(data[: found.start()], body) != found[1]:
        raise Broken("the checksum does not match")
    try:
        head = json.loads(data[:end])
    except ValueError as error:
        raise Broken("the first line is not JSON") from error
    del head["crc"]
    return head, body


def _crc(start: bytes, body: bytes) -> int:
    return int(google_crc32c.extend(google_crc32c.value(start), body))
