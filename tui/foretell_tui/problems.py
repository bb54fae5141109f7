"""What goes wrong when a store is read, in plain sentences."""

from __future__ import annotations

from foretell.errors import DamagedLedger, ForetellError

from foretell_tui.reading import Problem

UPGRADE = "a newer release wrote this run: upgrade to see more than its totals"


def problem_of(error: ForetellError) -> Problem:
    """A failed look in a plain sentence."""
    if isinstance(error, DamagedLedger):
        return Problem("damaged", f"{error.message}; what was read before it is shown")
    if error.slug == "store-vanished":
        return Problem("gone", error.message)
    if error.slug == "store-denied" or "ermission" in str(error):
        return Problem("denied", f"{error.message}: credentials expired, or no permission")
    return Problem("trouble", error.message)
