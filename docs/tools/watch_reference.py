"""The reference of the dashboard: its options, keys and signs, from its own tables."""

from __future__ import annotations

import cli_reference
from foretell_tui.command import command
from foretell_tui.keys import ACTIONS, shown
from foretell_tui.look import MEANINGS, NAMES, Look
from foretell_tui.panes.help import STATES
from tables import code, table


def options() -> str:
    """Arguments and options of ``sdk watch``."""
    rows = [
        (
            code(cli_reference.spelling(parameter)),
            cli_reference.default(parameter),
            getattr(parameter, "help", None) or "A path, a URL, or `@last`.",
        )
        for parameter in command.params
    ]
    return table(("option", "default", "meaning"), rows)


def keys() -> str:
    """Every key."""
    rows = [
        (
            " ".join(f"`{shown(key)}`" for key in action.keys),
            action.text + (" (only with `--control`)" if action.control else ""),
            code(action.name),
        )
        for action in ACTIONS
    ]
    return table(("keys", "what it does", "name"), rows)


def signs() -> str:
    """What stands for a state of chunks."""
    look, ascii_look = Look(), Look(ascii=True)
    rows = [
        (
            code(look.signs[NAMES.index(name)]),
            code(ascii_look.signs[NAMES.index(name)]),
            "rows lost" if name == "holes" else name,
            meaning,
        )
        for name, meaning in MEANINGS.items()
    ]
    return table(("sign", "ASCII", "state", "meaning"), rows)


def states() -> str:
    """What a run is called."""
    return table(("shown", "meaning"), [(word, meaning) for word, _, meaning in STATES])
