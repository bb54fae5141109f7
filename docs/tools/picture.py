"""Draw ``docs/picture/run.svg``: a real session in a real terminal, interrupted and resumed.

    python docs/tools/picture.py

The bundled demo is run under a pseudo-terminal. What stood on the screen half-way is kept as a
frame; then Ctrl-C is pressed, and the other commands are typed.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from foretell import demo
from foretell.store.head import read_head
from foretell.store.open import open_objects
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

TARGET = Path(__file__).resolve().parents[1] / "picture" / "run.svg"
COLUMNS, ROWS = 92, 40
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
HALF_WAY = 30
"""Chunks of 57 that are done when the frame is kept."""

THEME = TerminalTheme(
    (24, 26, 31),
    (214, 218, 226),
    [(24, 26, 31), (224, 108, 117), (127, 191, 127), (220, 180, 100)] + [(120, 170, 220)] * 4,
)
_CODE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


class Screen:
    """As much of a terminal as the live block needs: lines, a cursor, erasing."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        """Take what a program wrote."""
        at = 0
        while at < len(text):
            code = _CODE.match(text, at)
            if code is not None:
                self._control(code[1], code[2])
                at = code.end()
            else:
                self._put(text[at])
                at += 1

    def _control(self, number: str, letter: str) -> None:
        if letter == "A":
            self.row = max(0, self.row - int(number or 1))
        elif letter == "K":
            self.lines[self.row] = ""

    def _put(self, sign: str) -> None:
        if sign == "\r":
            self.column = 0
        elif sign == "\n":
            self.row += 1
            self.column = 0
            while len(self.lines) <= self.row:
                self.lines.append("")
        elif sign.isprintable():
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + sign + line[self.column + 1 :]
            self.column += 1

    def text(self) -> list[str]:
        """What is on the screen."""
        return [line.rstrip() for line in self.lines if line.strip()]


def run(words: Sequence[str], folder: Path, watch: Callable[[int, Screen], None]) -> Screen:
    """Run ``sdk`` in a terminal; ``watch`` sees it (by its terminal) all the while."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "FORETELL_CACHE_DIR": str(folder / "cache")}
    env.pop("CI", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "foretell", *words],
        cwd=folder,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # The terminal has to be the session's own for Ctrl-C to mean anything.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    screen = Screen()
    while process.poll() is None:
        _drain(ours, screen)
        watch(ours, screen)
        time.sleep(0.05)
    _drain(ours, screen)
    os.close(ours)
    return screen


def _drain(terminal: int, screen: Screen) -> None:
    try:
        while data := os.read(terminal, 65536):
            screen.feed(data.decode("utf-8", "replace"))
    except OSError:
        return


def session(folder: Path) -> list[str]:
    """The lines of the picture."""
    job = demo.write(folder, delay=0.1)
    kept: list[str] = []

    def interrupt(terminal: int, screen: Screen) -> None:
        head = read_head(open_objects(str(folder / "digits.zarr")))
        if not kept and head is not None and head.totals.done >= HALF_WAY:
            kept.extend(screen.text())
            os.write(terminal, b"\x03")

    ended = run(["predict", job.name], folder, interrupt)
    after = [line for line in ended.text() if line not in kept]
    lines = [f"$ sdk predict {job.name}", *kept, "^C", *(line.removeprefix("^C") for line in after)]
    for words in (["status", "digits.zarr"], ["resume", "digits.zarr"], ["verify", "digits.zarr"]):
        screen = run(words, folder, lambda terminal, screen: None)
        lines += ["", f"$ sdk {' '.join(words)}", *screen.text()]
    return [*lines, ""]


def styled(line: str) -> Text:
    """A line with the little colour it had."""
    text = Text(line)
    if line.startswith("$"):
        text.stylize("bold")
    text.highlight_regex(r"[━╸]+", "green")
    text.highlight_regex(r"─+|^\^C$", "#6b7280")
    text.highlight_regex(r"^warning:|INTERRUPTED", "yellow")
    text.highlight_regex(r"^done\b|\bclean\b", "green")
    return text


def tidied(svg: str) -> str:
    """The picture without fonts from the network."""
    svg = re.sub(r"\s*@font-face \{.*?\n    \}", "", svg, flags=re.DOTALL)
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        lines = session(Path(name))
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    for line in lines:
        console.print(styled(line), no_wrap=True, overflow="ignore", crop=False)
    svg = console.export_svg(title="", theme=THEME, unique_id="run")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(tidied(svg), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
