"""What the dashboard registers with Foretell: one command."""

from __future__ import annotations

from foretell.hookspecs import hookimpl
from foretell.types import Entry


@hookimpl
def register_commands() -> list[Entry]:
    """``sdk watch``."""
    return [
        Entry(
            "watch",
            "Watch a run: the dashboard",
            "foretell_tui.command:command",
            extra="tui",
        )
    ]
