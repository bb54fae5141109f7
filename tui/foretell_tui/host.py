"""The one widget: shows what the deck paints, line by line, and hands it keys and mouse."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from foretell_tui.deck import INLINE_LINES, Deck
from foretell_tui.line import Line
from foretell_tui.palette import Palette


class Host(Widget, can_focus=True):
    """A deck on a terminal. Only lines that changed are drawn again.

    Args:
        deck: What is shown.
        palette: How roles look.
        act: Called with the name of an action a key stands for.
        moved: Called when something was clicked: the focus may have changed.
    """

    DEFAULT_CSS = "Host { width: 1fr; height: 1fr; }"
    ALLOW_SELECT = False

    def __init__(
        self,
        deck: Deck,
        palette: Palette,
        act: Callable[[str], None],
        moved: Callable[[], None],
    ) -> None:
        super().__init__()
        self.deck = deck
        self.palette = palette
        self.frames = 0
        self._act, self._moved = act, moved
        self._keys = {key: action.name for action in deck.actions for key in action.keys}
        self._lines: list[Line] = []
        if deck.inline:
            self.styles.height = INLINE_LINES

    def repaint(self, *, ticked: bool = False) -> None:
        """Paint anew and draw the lines that differ; only those with clocks where it ``ticked``."""
        width, height = self.size
        if not width or not height:
            return
        before, self._lines = self._lines, self.deck.frame(width, height, ticked=ticked)
        self.frames += 1
        if len(before) != len(self._lines):
            self.refresh()
            return
        changed = [
            Region(0, number, width, 1)
            for number, (old, new) in enumerate(zip(before, self._lines, strict=True))
            if old != new
        ]
        if changed:
            self.refresh(*changed)

    def restyle(self, palette: Palette) -> None:
        """Other colours."""
        self.palette = palette
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the frame."""
        if not self._lines and self.size.width:
            self._lines = self.deck.frame(*self.size)
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(self.size.width, base)
        style = self.palette.style
        segments = [Segment(text, base + style(role)) for text, role in self._lines[y]]
        return Strip(segments, self.size.width)

    def on_resize(self, event: events.Resize) -> None:
        self.deck.lay_out(event.size.width, event.size.height)
        self._lines = []
        self._moved()
        self.repaint()

    def on_key(self, event: events.Key) -> None:
        name = self._keys.get(event.key) or self._keys.get(event.character or "")
        if name is not None:
            event.stop()
            event.prevent_default()
            self._act(name)

    def on_click(self, event: events.Click) -> None:
        self.deck.click(event.x, event.y, double=event.chain >= 2)
        self._moved()
        self.repaint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.deck.wheel(event.x, event.y, 1)
        self.repaint()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.deck.wheel(event.x, event.y, -1)
        self.repaint()
