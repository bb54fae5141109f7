"""The nearest known name to one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, or None when none is like it.

    Case, ``-`` and ``_`` do not count: ``Batch-Size`` is near ``batch_size``.
    """
    plain = {_plain(other): other for other in known}
    wanted = _plain(name)
    if wanted in plain:
        return plain[wanted]
    close = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.6)
    if close:
        return plain[close[0]]
    longer = [other for other in plain if len(wanted) >= 3 and other.startswith(wanted)]
    return plain[longer[0]] if len(longer) == 1 else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
