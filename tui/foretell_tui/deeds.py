"""What the dashboard does beside showing: looking now, copying, saving, paging, asking."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from foretell.paths import cache_dir
from foretell.text import plural

from foretell_tui.desk import Effect
from foretell_tui.exports import KINDS, as_text
from foretell_tui.line import safe
from foretell_tui.panes.runs import Runs
from foretell_tui.prompts import Confirm, TextPrompt
from foretell_tui.query import BadQuery, parse_place

if TYPE_CHECKING:
    from foretell_tui.app import WatchApp


class Deeds:
    """Answers the actions that no pane answers.

    Args:
        app: The dashboard.
    """

    def __init__(self, app: WatchApp) -> None:
        self.app = app

    def do(self, name: str) -> bool:
        """Answer an action; whether there is an answer to it."""
        handler = getattr(self, f"do_{name}", None)
        if handler is None:
            self.say("nothing in front answers that key; ? shows those that do")
            return False
        handler()
        return True

    def effect(self, effect: Effect) -> None:
        """What a pane asked for."""
        if effect.kind == "say":
            self.say(effect.text)
        elif effect.kind == "copy":
            self.app.copy_to_clipboard(effect.text)
        elif effect.kind == "ask":
            self._ask(effect)
        elif effect.kind == "pager":
            self._pager(effect.text)
        elif effect.kind == "save":
            self._save_list(effect.text)

    def say(self, text: str) -> None:
        """A short message in a corner."""
        self.app.notify(safe(text), timeout=4, markup=False)

    # --- looking ------------------------------------------------------------------------------

    def do_refresh(self) -> None:
        runs = self.app.deck.panes["runs"]
        if self.app.desk.screen == "runs" and isinstance(runs, Runs):
            runs.rows = None
            self.app._find_runs()
        self.app.poller.look_now()
        self.say("looking at the store")

    def do_pause(self) -> None:
        pace = self.app.poller.pace
        pace.paused = not pace.paused
        self.app.desk.paused = pace.paused
        self.app.poller.look_now()
        self.say("paused: p goes on, r looks once" if pace.paused else "looking again")

    def do_faster(self) -> None:
        self._pace(2.0)

    def do_slower(self) -> None:
        self._pace(0.5)

    def _pace(self, by: float) -> None:
        pace = self.app.poller.pace
        pace.faster(by)
        self.app.poller.look_now()
        self.say(f"a look every {pace.base:g} s while there is news")

    def do_go_to(self) -> None:
        self._ask(Effect("ask", "Go to chunk (an id, or: row 12345)", self._go_to))

    def _go_to(self, text: str) -> None:
        manifest = self.app.desk.view.reading.manifest
        if manifest is None:
            return
        plan = manifest.plan
        try:
            chunk = parse_place(text, manifest.n_chunks, plan["chunk_rows"], plan["n_rows"])
        except BadQuery as error:
            self.say(str(error))
            return
        self.app.desk.chunk = chunk
        panes = self.app.deck.panes
        panes["map"].show(chunk)  # type: ignore[attr-defined]
        self.app.deck.focus_on("map")
        self.app.desk.changed()

    # --- commands to type ---------------------------------------------------------------------

    def do_command(self) -> None:
        standing = self.app.desk.view.standing
        if standing is not None:
            self.app.desk.copy(standing.tries[0][0], "command")

    def do_open_in(self) -> None:
        run = self.app.desk.run
        self.app.desk.copy(f"sdk show {run}", "command; it says how to open the store")

    def do_retry(self) -> None:
        self._run("retry", "predicts again what failed, in a process of its own")

    def do_cancel(self) -> None:
        self._run("cancel", "the run drains, ends as cancelled, and can be resumed")

    def _run(self, name: str, effect: str) -> None:
        if not self.app.desk.control:
            self.say(f"sdk watch --control allows this; c copies: sdk {name} {self.app.desk.run}")
            return
        words = ["sdk", name, self.app.desk.run]

        def answered(yes: bool | None) -> None:
            if yes:
                place = start(name, self.app.desk.run)
                self.say(f"started {shlex.join(words)}; its messages are in {place}")
                self.app.poller.look_now()

        self.app.push_screen(Confirm(shlex.join(words), effect), answered)

    # --- leaving, asking, saving --------------------------------------------------------------

    def do_quit(self) -> None:
        self.app.exit(0)

    def do_palette(self) -> None:
        self.app.action_command_palette()

    def do_bell(self) -> None:
        self.app.outside.bell = not self.app.outside.bell
        on = self.app.outside.bell
        self.say("rings at the end or at the first failure" if on else "does not ring")

    def do_export(self) -> None:
        self._write("svg", self.app.desk.screen, self.app.export_screenshot())

    def _ask(self, effect: Effect) -> None:
        def answered(text: str | None) -> None:
            if text is not None and effect.then is not None:
                effect.then(text)
            self.app.host.repaint()

        self.app.push_screen(TextPrompt(effect.text), answered)

    def _pager(self, text: str) -> None:
        """Text at length, in the user's pager; in the web there is none."""
        pager = shlex.split(os.environ.get("PAGER", "less"))
        lines = "\n".join(safe(line) for line in text.split("\n"))
        if self.app.is_headless or self.app.is_web:
            self.say("there is no pager here; y copies the text")
            return
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write(lines + "\n")
            file.flush()
            try:
                with self.app.suspend():
                    subprocess.run([*pager, file.name], check=False)
            except OSError as error:
                self.say(f"{pager[0]}: {error.strerror}")

    def _save_list(self, name: str) -> None:
        """The list in front as CSV or JSON, or the screen as SVG, into the current folder."""
        pane = self.app.deck.panes[name]
        screen = self.app.export_screenshot()

        def answered(kind: str | None) -> None:
            if kind in KINDS:
                self._write(kind, name, as_text(pane.records(), kind))
            elif kind == "svg":
                self._write("svg", name, screen)
            elif kind is not None:
                self.say(f"{kind!r} is none of csv, json, svg")
            self.app.host.repaint()

        count = plural(len(pane.records()), "line")
        question = f"Save this list ({count}) as csv or json, or the screen as svg"
        self.app.push_screen(TextPrompt(question, "csv"), answered)

    def _write(self, kind: str, what: str, content: str) -> None:
        name = f"watch-{what}-{time.strftime('%Y%m%d-%H%M%S')}.{kind}"
        try:
            Path(name).write_text(content, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            self.say(f"{name}: {error.strerror}")
            return
        self.say(f"saved {name}")


def start(name: str, run: str) -> Path:
    """Start ``sdk NAME RUN`` in a process of its own; returns where its messages go."""
    folder = cache_dir() / "watch"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    with open(place, "ab") as messages:
        subprocess.Popen(
            [sys.executable, "-m", "foretell", name, run],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            start_new_session=True,
        )
    return place
