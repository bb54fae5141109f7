"""The live block on a terminal: rows done, rate, the end as a range, failures, how to watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foretell.cli.progress import words
from foretell.cli.progress.plain import ended
from foretell.cli.render import Messages
from foretell.store.head import Head
from foretell.text import clip, plural

if TYPE_CHECKING:
    from rich.console import RenderableType

FULL, HALF, EMPTY = "━", "╸", "─"


def bar(share: float, width: int, ascii_only: bool = False) -> str:
    """A bar of ``width`` characters of which ``share`` (0..1) is filled."""
    full, half, empty = ("#", ">", ".") if ascii_only else (FULL, HALF, EMPTY)
    halves = int(min(1.0, max(0.0, share)) * width * 2)
    filled = full * (halves // 2) + (half if halves % 2 else "")
    return filled + empty * (width - len(filled))


def frame(head: Head, url: str, watch: str, width: int, ascii_only: bool = False) -> list[str]:
    """The block as lines of at most ``width`` characters."""
    share = words.percent(head) / 100
    gap = max(10, min(50, width - 40))
    first = f"{bar(share, gap, ascii_only)}  {words.rows(head)}"
    second = words.joined(words.rate(head.rates, head.unit), words.eta(head.rates))
    state = head.state if not head.message else f"{head.state}: {head.message}"
    running = head.totals.running
    working = f"{plural(running, 'chunk')} in hand" if running else ""
    lines = [
        f"{state}   {url}",
        first,
        words.joined(second or "measuring", working),
        words.failed(head) or "no failures",
        f"watch it with: {watch}",
    ]
    return [clip(line, width) for line in lines]


class LiveProgress:
    """Redraws one block in place; messages scroll by above it.

    Args:
        messages: Owner of stderr; its lines go above the block while it stands.
        url: The run store.
        watch: The command that shows the run.
    """

    def __init__(self, messages: Messages, url: str, watch: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._messages = messages
        self._url = url
        self._watch = watch
        self._head: Head | None = None
        self._console = Console(
            file=messages.stream, markup=False, emoji=False, highlight=False, soft_wrap=True
        )
        self._ascii = not (self._console.encoding or "").lower().startswith("utf")
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._started = False

    def head(self, head: Head) -> None:
        """A heartbeat: draw it, or clear the block and say how it ended."""
        if ended(head):
            self.close()
            for text in words.end_lines(head, self._url):
                self._messages.say(text)
            return
        self._head = head
        if not self._started:
            self._started = True
            self._messages.above = self._above
            self._live.start(refresh=True)

    def note(self, level: str, text: str) -> None:
        """A message, above the block."""
        self._messages.note(level, text)

    def close(self) -> None:
        """Take the block off the screen."""
        self._messages.above = None
        if self._started:
            self._started = False
            self._live.stop()

    def _above(self, line: str) -> None:
        from rich.text import Text

        self._live.console.print(Text(line))

    def _render(self) -> RenderableType:
        from rich.text import Text

        if self._head is None:
            return Text("")
        width = max(20, self._console.width - 1)
        return Text("\n".join(frame(self._head, self._url, self._watch, width, self._ascii)))
