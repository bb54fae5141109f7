"""Every key: what it does, and how it can be bound to another one.

One table feeds the bindings, the help, the command palette and the page of keys in the docs.
``[tool.foretell.tui.keys]`` of the nearest ``pyproject.toml`` changes keys by the action's name::

    [tool.foretell.tui.keys]
    quit = "ctrl+q"
    zoom_in = ["z", "i"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from foretell.config.suggest import nearest
from foretell.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does.

    Attributes:
        name: As it is rebound.
        keys: Keys that do it, as Textual names them.
        text: What it does, a few words.
        everywhere: Whether the dashboard answers it, whatever pane is in front.
        control: Whether it needs ``--control``.
    """

    name: str
    keys: tuple[str, ...]
    text: str
    everywhere: bool = False
    control: bool = False


SCREEN_NAMES = (
    "overview", "chunks", "workers", "failures", "results", "log", "timeline", "compare", "runs",
)  # fmt: skip

ACTIONS: tuple[Action, ...] = (
    *(
        Action(f"screen_{name}", (str(number),), f"show {name}", everywhere=True)
        for number, name in enumerate(SCREEN_NAMES, start=1)
    ),
    Action("help", ("?", "f1"), "keys and signs of what is in front", True),
    Action("next_pane", ("tab",), "next pane", True),
    Action("previous_pane", ("shift+tab",), "previous pane", True),
    Action("back", ("escape",), "back", True),
    Action("up", ("up", "k"), "up"),
    Action("down", ("down", "j"), "down"),
    Action("left", ("left", "h"), "left"),
    Action("right", ("right", "l"), "right"),
    Action("page_up", ("pageup",), "a page up"),
    Action("page_down", ("pagedown",), "a page down"),
    Action("home", ("home",), "to the start"),
    Action("end", ("end",), "to the end"),
    Action("open", ("enter",), "open what is selected"),
    Action("zoom_in", ("z",), "zoom in"),
    Action("zoom_out", ("Z",), "zoom out"),
    Action("order", ("m",), "map order: linear, grid, time, worker"),
    Action("filter", ("/",), "filter (regex; ! turns it around)"),
    Action("next_hit", ("n",), "next hit, next failure"),
    Action("previous_hit", ("N",), "previous hit"),
    Action("go_to", (":",), "go to a chunk, or: row 12345", True),
    Action("palette", ("ctrl+p",), "every action by name", True),
    Action("pause", ("p",), "stop looking at the store, or go on", True),
    Action("refresh", ("r",), "look at the store now", True),
    Action("faster", ("+",), "look twice as often", True),
    Action("slower", ("-",), "look half as often", True),
    Action("follow", ("f",), "follow the newest"),
    Action("sort", ("s",), "next order, or level of the log"),
    Action("group", ("g",), "group by host"),
    Action("view_as", ("v",), "next way to show it"),
    Action("previous_chunk", ("[",), "previous chunk"),
    Action("next_chunk", ("]",), "next chunk"),
    Action("open_in", ("o",), "copy how to open the results elsewhere", True),
    Action("copy", ("y",), "copy ids, path or traceback"),
    Action("pager", ("e",), "the whole text in $PAGER"),
    Action("export", ("x",), "save: list as CSV or JSON, screen as SVG", True),
    Action("command", ("c",), "copy the command: retry, resume, cancel", True),
    Action("retry", ("R",), "run sdk retry, after asking", True, True),
    Action("cancel", ("C",), "run sdk cancel, after asking", True, True),
    Action("bell", ("b",), "ring at the end and at a first failure", True),
    Action("quit", ("q",), "leave; the run goes on", True),
)

BY_NAME = {action.name: action for action in ACTIONS}


def bound(changes: Mapping[str, Any]) -> tuple[Action, ...]:
    """The actions with a user's own keys.

    Args:
        changes: Action to key, or to a list of keys.

    Raises:
        ConfigError: an unknown action, or a key that two actions would share.
    """
    for name, keys in changes.items():
        if name not in BY_NAME:
            raise _unknown(name)
        if not isinstance(keys, str | list) or not keys:
            raise _no_key(name, keys)
    actions = tuple(
        replace(action, keys=_keys(changes[action.name])) if action.name in changes else action
        for action in ACTIONS
    )
    taken: dict[str, str] = {}
    for action in actions:
        for key in action.keys:
            if key in taken:
                raise _twice(key, taken[key], action.name)
            taken[key] = action.name
    return actions


def shown(key: str) -> str:
    """A key as people read it."""
    names = {
        "escape": "Esc", "enter": "Enter", "tab": "Tab", "shift+tab": "Shift+Tab", "up": "Up",
        "down": "Down", "left": "Left", "right": "Right", "pageup": "PgUp", "pagedown": "PgDn",
        "home": "Home", "end": "End", "ctrl+p": "Ctrl+P", "f1": "F1",
    }  # fmt: skip
    return names.get(key, key)


def _keys(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _unknown(name: str) -> ConfigError:
    near = nearest(name, list(BY_NAME))
    return ConfigError(
        f'there is no action "{name}" to bind a key to',
        facts=[("from", "[tool.foretell.tui.keys]")],
        tries=[(near, "the nearest name")] if near else [],
        slug="tui-keys",
    )


def _no_key(name: str, value: Any) -> ConfigError:
    return ConfigError(
        f"the key of {name} is a text or a list of texts",
        facts=[("got", repr(value)), ("from", "[tool.foretell.tui.keys]")],
        tries=[(f'{name} = "{BY_NAME[name].keys[0]}"', "what it is by default")],
        slug="tui-keys",
    )


def _twice(key: str, first: str, second: str) -> ConfigError:
    return ConfigError(
        f'the key "{key}" would do two things',
        facts=[("actions", f"{first}, {second}"), ("from", "[tool.foretell.tui.keys]")],
        tries=[(f'{first} = "…"', "another key for one of them")],
        slug="tui-keys",
    )
