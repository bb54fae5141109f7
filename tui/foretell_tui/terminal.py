"""What the terminal shows outside the screen: its title, progress in the task bar, the bell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from foretell_tui import words
from foretell_tui.line import cut
from foretell_tui.state import View

if TYPE_CHECKING:
    from foretell_tui.app import WatchApp

_KNOW_PROGRESS = ("WT_SESSION", "ConEmuPID", "GHOSTTY_RESOURCES_DIR")
_TITLED = ("xterm", "screen", "tmux", "rxvt", "alacritty", "foot", "wezterm", "kitty", "ghostty")


def sixteen_colours() -> bool:
    """Whether the terminal has sixteen colours and no more, by what Textual goes by."""
    from rich.console import Console
    from textual.constants import COLOR_SYSTEM

    return Console(force_terminal=True, color_system=COLOR_SYSTEM).color_system == "standard"  # type: ignore[arg-type]


class Outside:
    """Title, progress, bell.

    Args:
        app: The dashboard.

    Attributes:
        bell: Whether it rings at the end or at the first failure.
    """

    def __init__(self, app: WatchApp) -> None:
        self._app = app
        self.bell = False
        self._title = ""
        self._progress = ""

    def begin(self) -> None:
        """Remember the terminal's title, to give it back."""
        if self._titled:
            self._write("\x1b[22;0t")

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._progress:
            self._write("\x1b]9;4;0\x07")
        if self._titled:
            self._write("\x1b[23;0t")

    def take(self, old: View, new: View) -> None:
        """Tell of a new view."""
        self._show(new)
        if not self.bell or old.judgement is None:
            return
        failed = new.totals.failed + new.totals.quarantined
        before = old.totals.failed + old.totals.quarantined
        if (old.live and not new.live) or (failed and not before):
            self._app.bell()

    def _show(self, view: View) -> None:
        if self._titled:
            title = cut(f"{words.share(view):.0f}% {view.word} {words.job_name(view)}", 80)
            if title != self._title:
                self._title = title
                self._write(f"\x1b]0;{title}\x07")
        if self._progress_known:
            kind = 1 if view.live else 0 if view.tone == "good" else 2
            text = f"\x1b]9;4;{kind};{int(words.share(view))}\x07"
            if text != self._progress:
                self._progress = text
                self._write(text)

    @property
    def _titled(self) -> bool:
        term = os.environ.get("TERM", "")
        return self._mine and term.startswith(_TITLED)

    @property
    def _progress_known(self) -> bool:
        if os.environ.get("FORETELL_OSC_PROGRESS", "") == "0" or not self._mine:
            return False
        return any(name in os.environ for name in _KNOW_PROGRESS)

    @property
    def _mine(self) -> bool:
        """Whether there is a terminal, and all of it is ours."""
        app = self._app
        return (
            app._driver is not None
            and not app.is_headless
            and not app.is_web
            and not (app.is_inline)
        )

    def _write(self, text: str) -> None:
        driver = self._app._driver
        if driver is not None:
            driver.write(text)
            driver.flush()
