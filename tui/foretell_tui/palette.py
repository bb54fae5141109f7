"""What a role looks like: colours for dark and light terminals, and signs alone.

The colours of states are those of Okabe and Ito, which colour-blind people tell apart; on a light
terminal they are darker. Sixteen-colour terminals get the nearest, and signs tell states apart
everywhere.

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
    "state-partly-more": "#25748a", "state-partly-most": "#1d8f8a",
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

_MONO = {
    "good": "bold", "warn": "bold", "bad": "bold reverse", "info": "", "quiet": "", "dim": "dim",
    "frame": "dim", "focus": "bold", "title": "bold", "id": "", "brand": "reverse", "key": "bold",
    "tab": "", "tab-on": "bold", "state-failed": "bold", "state-quarantined": "bold",
    "state-damaged": "bold",
}  # fmt: skip

BACKGROUNDS = {"dark": "#0b0f14", "light": "#fbfcfd", "mono": "#000000"}
TEXTS = {"dark": "#d7dee6", "light": "#1c2127", "mono": "#ffffff"}
_SELECTED = {"dark": "on #1d2a36", "light": "on #dce8f2", "mono": "reverse"}


class Palette:
    """Styles of roles.

    Args:
        theme: ``dark``, ``light`` or ``mono``.
    """

    def __init__(self, theme: str) -> None:
        self.theme = theme if theme in BACKGROUNDS else "dark"
        self._styles = {"dark": _DARK, "light": _LIGHT, "mono": _MONO}[self.theme]
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
            return Style.parse(_SELECTED[self.theme])
        if role == "cursor":
            return Style(reverse=True, bold=True)
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
