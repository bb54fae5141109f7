"""Settings of glibc's malloc for processes that compute batches.

The buffers of a batch are freed and taken again. Memory that went back to the kernel meanwhile
costs a page fault for every 4 KiB when it is wanted next, in all a third of the CPU of a light
model; so freed memory is kept. With an arena for every thread the same buffers would lie in many
places: one for each slot will do.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

LARGEST_KEPT = 32 * 2**20
"""Bytes of the largest buffer that is kept: no arena can hold a larger one."""
FREE_KEPT = 64 * 2**20
"""Bytes at the end of an arena that are kept."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def heap_environment(arenas: int) -> dict[str, int]:
    """Variables that set it in a process that is yet to be started.

    Args:
        arenas: Threads that compute at once.
    """
    return {
        "MALLOC_ARENA_MAX": max(2, arenas),
        "MALLOC_MMAP_THRESHOLD_": LARGEST_KEPT,
        "MALLOC_TRIM_THRESHOLD_": FREE_KEPT,
    }


def keep_freed_memory(arenas: int) -> bool:
    """Set it in this process, for threads that are yet to be started; whether that could be done.

    For commands, whose process is ours: a library's caller has a heap of their own.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        wanted = (
            (_M_MMAP_THRESHOLD, LARGEST_KEPT),
            (_M_TRIM_THRESHOLD, FREE_KEPT),
            (_M_ARENA_MAX, max(2, arenas)),
        )
        return bool(sum(libc.mallopt(*setting) for setting in wanted) == len(wanted))
    return False
