"""The runs this user started last, so that ``@last`` and a run picker know them.

A small file in the cache; losing it loses nothing but the convenience.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from foretell.paths import cache_dir
from foretell.redact import redact_url

KEPT = 50


def recent_runs() -> list[str]:
    """Paths and URLs of run stores, newest first."""
    try:
        names = list(json.loads(_file().read_text(encoding="utf-8"))["runs"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [name for name in names if isinstance(name, str)][:KEPT]


def remember_run(url: str) -> None:
    """Put a run first. A cache that cannot be written is no reason to fail."""
    place = redact_url(url) if "://" in url else str(Path(url).absolute())
    runs = [place, *(name for name in recent_runs() if name != place)][:KEPT]
    with contextlib.suppress(OSError):
        _replace(_file(), json.dumps({"runs": runs}, indent=1))


def _file() -> Path:
    return cache_dir() / "recent.json"


def _replace(path: Path, text: str) -> None:
    """Write beside and rename: two commands at once leave one whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".recent-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
