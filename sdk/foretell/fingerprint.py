"""When two fingerprints mean the same content.

A fingerprint is a mapping of named parts to short texts. Most parts are compared as they are. A
part that tells of a *time* (``modified``) or a *tag* (``etag``) changes when a file is touched or
copied, so it only hints: where both sides also carry a part that saw the bytes, that one decides.

=============  ========================================================  =====================
part           holds                                                     decided by
=============  ========================================================  =====================
``modified``   times of last change                                      ``content``, ``sample``
``etag``       an object store's tags                                    ``content``
``sample``     hash of bytes at fixed places                             ``content``
``content``    hash of all bytes                                         itself
anything else  compared as it is                                         itself
=============  ========================================================  =====================

Names may carry a prefix that ends in a dot: ``source.modified`` is decided by ``source.sample``.
"""

from __future__ import annotations

from collections.abc import Mapping

_DECIDED_BY = {
    "modified": ("content", "sample"),
    "etag": ("content", "sample"),
    "sample": ("content",),
    # All bytes were hashed on one side only: what both sides saw is compared instead.
    "content": ("sample", "etag"),
}


def differences(
    stored: Mapping[str, str], current: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """The parts that say two fingerprints stand for different content.

    Args:
        stored: The fingerprint of the run, as its manifest has it.
        current: The fingerprint of now.

    Returns:
        Part name to (stored, current) text, in the order of ``stored``, ``""`` for a part that one
        side lacks. Empty when the content is the same.
    """
    names = [*stored, *(name for name in current if name not in stored)]
    return {
        name: (stored.get(name, ""), current.get(name, ""))
        for name in names
        if stored.get(name) != current.get(name) and not _decided_elsewhere(name, stored, current)
    }


def _decided_elsewhere(name: str, stored: Mapping[str, str], current: Mapping[str, str]) -> bool:
    prefix, dot, last = name.rpartition(".")
    if last == "content" and name in stored and name in current:
        return False
    return any(
        prefix + dot + other in stored and prefix + dot + other in current
        for other in _DECIDED_BY.get(last, ())
    )
