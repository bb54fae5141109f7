"""The two places outside a run store that Foretell uses: the cache, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The cache: ``FORETELL_CACHE_DIR``, else ``XDG_CACHE_HOME/foretell``, else ``~/.cache``.

    Line indexes, boards, compiled programs, the last run's name and bug reports live here; all of
    it may be deleted at any time when no run is at work.
    """
    chosen = os.environ.get("FORETELL_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "foretell" if base else Path.home() / ".cache" / "foretell"
