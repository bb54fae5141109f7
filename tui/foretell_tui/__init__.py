"""The dashboard of Foretell: ``sdk watch``. Importing it imports no framework.

It reads a run store and nothing else, in a process of its own: so it works on a live, a finished
and a crashed run, and can neither slow nor harm one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell_tui.app import WatchApp
    from foretell_tui.reader import Reader

__all__ = ["Reader", "WatchApp"]

_HOMES = {"WatchApp": "foretell_tui.app", "Reader": "foretell_tui.reader"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
