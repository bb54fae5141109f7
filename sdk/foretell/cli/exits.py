"""Exit codes: the one list of what the process may end with, and what each means."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What ``sdk`` exits with."""

    COMPLETE = 0
    BUG = 1
    USAGE = 2
    PARTIAL = 3
    LOAD = 4
    STORE = 5
    HELD = 6
    GAVE_OUT = 7
    INTERRUPTED = 75
    KILLED_BY_USER = 130
    KILLED_BY_WATCHER = 137


MEANINGS: dict[Exit, str] = {
    Exit.COMPLETE: "complete",
    Exit.BUG: "a bug; the message says where the report is",
    Exit.USAGE: "usage or configuration; nothing was started",
    Exit.PARTIAL: "finished, but some rows or chunks failed; "
    "verify: damage found; compare: different",
    Exit.LOAD: "a model, source or plugin cannot be loaded",
    Exit.STORE: "the store: not writable, another job's, not a run; verify: broken ledger",
    Exit.HELD: "another driver holds the run or took it over",
    Exit.GAVE_OUT: "the failure budget or the storage gave out",
    Exit.INTERRUPTED: "interrupted after a drain; resumable",
    Exit.KILLED_BY_USER: "second Ctrl-C",
    Exit.KILLED_BY_WATCHER: "killed by the in-process watcher; resumable",
}
"""Every code in words, as the reference lists them."""
