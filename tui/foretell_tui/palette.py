"""What a role looks like: colours for dark and light terminals, and signs alone.

The colours of states are those of Okabe and Ito, which colour-blind people tell apart; on a light
terminal they are darker. Terminals of sixteen colours have palettes of their own, in which states
that the map shows by colour alone stay apart; signs tell the rest everywhere.

Source: M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from functools import lru_cache

from rich.style import Style

_DARK = {
    "good": "#2fd39a", "warn": "#f0c040", "bad": "#ff7043", "info": "#56b4e9", "quiet": "#9aa5b1",
    "dim": "#8b97a3", "frame": "#3d4a57", "focus": "#56b4e9", "title": "#d7dee6", "id": "#7fb8d8",
    "brand": "#0b0f14 on #2fd39a", "key": "#f0c040", "tab": "#9aa5b1", "tab-on": "bold #2fd39a",
    "curve": "#56b4e9", "pointer": "#f0c040",
    "state-pending": "#4b5763", "state-running": "#56b4e9", "state-retrying": "#f0e442",
    "state-done": "#009e73", "state-failed": "#ff6a2b", "state-quarantined": "#cc79a7",
    "state-damaged": "#e69f00", "state-holes": "#e7a3c7", "state-partly": "#28566b",
    "state-partly-more": "#22688a", "state-partly-most": "#1d8f8a",
    "state-resumed": "#0b6b52", "behind-pending": "#1a232d",
}  # fmt: skip

_LIGHT = {
    "good": "#00704f", "warn": "#8a5a00", "bad": "#b8390e", "info": "#0060a0", "quiet": "#57606a",
    "dim": "#5d6771", "frame": "#b6bfc8", "focus": "#0060a0", "title": "#1c2127", "id": "#005b8a",
    "brand": "#ffffff on #00704f", "key": "#8a5a00", "tab": "#57606a", "tab-on": "bold #00704f",
    "curve": "#0060a0", "pointer": "#8a5a00",
    "state-pending": "#aab4be", "state-running": "#0072b2", "state-retrying": "#8f7f00",
    "state-done": "#007a59", "state-failed": "#c23b00", "state-quarantined": "#a3407c",
    "state-damaged": "#a66f00", "state-holes": "#b5588f", "state-partly": "#9cc3d6",
    "state-partly-more": "#6fb3bd", "state-partly-most": "#43a294",
    "state-resumed": "#5fa893", "behind-pending": "#e3e8ed",
}  # fmt: skip

_ANSI = {
    "black": "#000000", "red": "#aa0000", "green": "#00aa00", "yellow": "#aa5500",
    "blue": "#0000aa", "magenta": "#aa00aa", "cyan": "#00aaaa", "white": "#aaaaaa",
    "grey": "#555555", "bright_red": "#ff5555", "bright_green": "#55ff55",
    "bright_yellow": "#ffff55", "bright_blue": "#5555ff", "bright_magenta": "#ff55ff",
    "bright_cyan": "#55ffff", "bright_white": "#ffffff",
}  # fmt: skip
"""Colours for which a terminal of sixteen has exactly one; it may show it otherwise."""

_DARK_16 = {
    "good": "bright_green", "warn": "bright_yellow", "bad": "bright_red", "info": "bright_cyan",
    "quiet": "white", "dim": "white", "frame": "grey", "focus": "bright_cyan",
    "title": "bright_white", "id": "cyan", "brand": "black on bright_green",
    "key": "bright_yellow", "tab": "white", "tab-on": "bold bright_green", "curve": "bright_cyan",
    "pointer": "bright_yellow",
    "state-pending": "grey", "state-running": "bright_cyan", "state-retrying": "bright_yellow",
    "state-done": "green", "state-failed": "bright_red", "state-quarantined": "bright_magenta",
    "state-damaged": "yellow", "state-holes": "magenta", "state-partly": "blue",
    "state-partly-more": "bright_blue", "state-partly-most": "cyan", "state-resumed": "cyan",
    "behind-pending": "black",
}  # fmt: skip

_LIGHT_16 = {
    "good": "green", "warn": "yellow", "bad": "red", "info": "blue", "quiet": "grey",
    "dim": "grey", "frame": "white", "focus": "blue", "title": "black", "id": "blue",
    "brand": "bright_white on green", "key": "yellow", "tab": "grey", "tab-on": "bold green",
    "curve": "blue", "pointer": "yellow",
    "state-pending": "white", "state-running": "blue", "state-retrying": "yellow",
    "state-done": "green", "state-failed": "red", "state-quarantined": "magenta",
    "state-damaged": "yellow", "state-holes": "bright_magenta", "state-partly": "bright_cyan",
    "state-partly-more": "bright_blue", "state-partly-most": "cyan", "state-resumed": "cyan",
    "behind-pending": "bright_white",
}  # fmt: skip

_MONO = {
    "good": "bold", "warn": "bold", "bad": "bold reverse", "info": "", "quiet": "", "dim": "dim",
    "frame": "dim", "focus": "bold", "title": "bold", "id": "", "brand": "reverse", "key": "bold",
    "tab": "", "tab-on": "bold", "state-failed": "bold", "state-quarantined": "bold",
    "state-damaged": "bold",
}  # fmt: skip

BACKGROUNDS = {"dark": "#0b0f14", "light": "#fbfcfd", "mono": "#000000"}
TEXTS = {"dark": "#d7dee6", "light": "#1c2127", "mono": "#ffffff"}
_SELECTED = {"dark": "on #1d2a36", "light": "on #dce8f2", "mono": "reverse"}

BACKGROUNDS_16 = {"dark": _ANSI["black"], "light": _ANSI["bright_white"], "mono": "#000000"}
TEXTS_16 = {"dark": _ANSI["bright_white"], "light": _ANSI["black"], "mono": "#ffffff"}


def _ansi(styles: dict[str, str]) -> dict[str, str]:
    """Names of the sixteen colours as colours."""
    words = {role: style.split(" ") for role, style in styles.items()}
    return {role: " ".join(_ANSI.get(w, w) for w in style) for role, style in words.items()}


class Palette:
    """Styles of roles.

    Args:
        theme: ``dark``, ``light`` or ``mono``.
        sixteen: Whether the terminal has sixteen colours and no more.
    """

    def __init__(self, theme: str, *, sixteen: bool = False) -> None:
        self.theme = theme if theme in BACKGROUNDS else "dark"
        self.sixteen = sixteen and self.theme != "mono"
        many = {"dark": _DARK, "light": _LIGHT, "mono": _MONO}
        few = {"dark": _ansi(_DARK_16), "light": _ansi(_LIGHT_16), "mono": _MONO}
        self._styles = (few if self.sixteen else many)[self.theme]
        self.background = (BACKGROUNDS_16 if self.sixteen else BACKGROUNDS)[self.theme]
        self.text = (TEXTS_16 if self.sixteen else TEXTS)[self.theme]
        self.style = lru_cache(maxsize=1024)(self._style)

    def _style(self, roles: str) -> Style:
        style = Style.null()
        for role in roles.split():
            style += self._one(role)
        return style

    def _one(self, role: str) -> Style:
        if role in ("bold", "dim") and role not in self._styles:
            return Style(bold=role == "bold" or None, dim=role == "dim" or None)
        if role == "selected":
            return Style.parse("reverse" if self.sixteen else _SELECTED[self.theme])
        if role == "cursor":
            if self.theme == "mono":
                return Style(reverse=True, bold=True)
            pointer = self._styles["pointer"]
            return Style(color=self.background, bgcolor=pointer, bold=True)
        if role == "marked":
            return Style(bold=True)
        if role.startswith("#"):
            return Style(color=role)
        if role.startswith("on#"):
            return Style(bgcolor=role.removeprefix("on"))
        if role.startswith("on-"):
            name = role.removeprefix("on-")
            colour = self._styles.get(f"behind-{name}") or self._styles.get(f"state-{name}", "")
            return Style(bgcolor=colour) if colour.startswith("#") else Style.null()
        found = self._styles.get(role)
        return Style.parse(found) if found else Style.null()
