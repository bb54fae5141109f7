"""Compiled programs kept on disk, and how often that helped."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Any

import jax

_lock = threading.Lock()
_hits = [0]


def keep_programs(folder: str) -> None:
    """Keep compiled programs in ``folder``, unless the user chose a place already."""
    _listen()
    if jax.config.jax_compilation_cache_dir:
        return
    os.makedirs(folder, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def hits() -> int:
    """Programs of this process that were found on disk."""
    return _hits[0]


@cache
def _listen() -> None:
    jax.monitoring.register_event_listener(_heard)


def _heard(event: str, **_: Any) -> None:
    if event == "/jax/compilation_cache/cache_hits":
        with _lock:
            _hits[0] += 1
