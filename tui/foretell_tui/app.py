"""The Textual application: a deck on a terminal, fed by a thread that reads the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from foretell.errors import ForetellError
from foretell.store.objects import ObjectStore
from textual import events
from textual.app import App, ComposeResult, SystemCommand
from textual.screen import Screen
from textual.theme import Theme

from foretell_tui.deck import Deck
from foretell_tui.deeds import Deeds
from foretell_tui.desk import Desk, Effect
from foretell_tui.first import opening
from foretell_tui.host import Host
from foretell_tui.keys import ACTIONS, Action, shown
from foretell_tui.look import Look
from foretell_tui.pace import LOCAL, REMOTE, Pace
from foretell_tui.palette import Palette
from foretell_tui.panes.compare import Compare, Comparer
from foretell_tui.panes.results import Preview, Results
from foretell_tui.panes.runs import Runs
from foretell_tui.poller import Job, Poller
from foretell_tui.reader import Reader
from foretell_tui.state import View, reduce
from foretell_tui.terminal import Outside

TICK = 1.0
"""Seconds between looks at the clock, so that "no news for" grows while nothing is read."""

CALM, CALM_TICKS = 30.0, 5
"""Seconds without news after which only every fifth look at the clock is shown."""

WHOLE = 15
"""Looks at the clock after which all is painted anew, not only what tells the time."""


class WatchApp(App[int]):
    """The dashboard of one run.

    Args:
        reader: Of the run.
        view: What the first look gave, None when the store has not answered yet.
        look: Which signs may be used.
        actions: Keys.
        theme: ``dark``, ``light`` or ``mono``.
        sixteen: Whether the terminal has sixteen colours and no more.
        interval: Seconds between looks; None for what suits the store, 0 for none.
        control: Whether retry and cancel may be started.
        screen: The screen to begin with.
        find_runs: Lists other runs, as ``sdk runs --json`` has them.
        open_run: Opens another run's store.
        compare: Compares two runs, as ``sdk compare`` does.
        inline: Whether it stands in a few lines under the prompt.

    Attributes:
        error: What ended the watching, None when the user did.
    """

    CSS = """
    Screen { layout: vertical; }
    Screen.inline { height: auto; }
    ToastRack { margin-bottom: 3; }
    """
    TITLE = "sdk watch"
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        reader: Reader,
        *,
        view: View | None = None,
        look: Look | None = None,
        actions: Sequence[Action] = ACTIONS,
        theme: str = "dark",
        sixteen: bool = False,
        interval: float | None = None,
        control: bool = False,
        screen: str = "overview",
        find_runs: Callable[[], list[dict[str, Any]]] | None = None,
        open_run: Callable[[str], ObjectStore] | None = None,
        compare: Comparer | None = None,
        inline: bool = False,
    ) -> None:
        super().__init__()
        self.reader = reader
        self.error: ForetellError | None = None
        self.find_runs, self.open_run, self.compare = find_runs, open_run, compare
        first = view or opening(reader, *reader.now())
        self.desk = Desk(first, look or Look(), control=control, screen=screen)
        self.desk.emit = self._effect
        self.deck = Deck(self.desk, actions)
        self.deck.inline = inline
        self.palette = Palette(theme, sixteen=sixteen)
        self.host = Host(self.deck, self.palette, self.act, self._wants_changed)
        self.deeds = Deeds(self)
        self.outside = Outside(self)
        self._interval = interval
        self._first = view
        self._pending = False
        self._ticks = 0
        self.poller = self._new_poller(reader)

    def _new_poller(self, reader: Reader) -> Poller:
        base = REMOTE if reader.objects.remote else LOCAL
        pace = Pace(base if self._interval is None else self._interval)
        return Poller(reader, pace, self._tell, self._failed)

    # --- life ---------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self.host

    def on_mount(self) -> None:
        self.register_theme(_theme(self.palette))
        self.theme = f"foretell-{self.palette.theme}"
        self.host.focus()
        # What is known already is on the screen first.
        self.call_after_refresh(self.poller.start, self._first)
        self.set_interval(TICK, self._tick)
        self.outside.begin()

    def on_unmount(self) -> None:
        self.poller.stop()
        self.outside.end()

    def farewell(self) -> Iterable[str]:
        """What is said after leaving: that the run does not mind."""
        view = self.desk.view
        if view.live:
            yield f"the run goes on; sdk watch {self.desk.run} comes back to it"

    # --- news from the thread -----------------------------------------------------------------

    def _tell(self, view: View, every: float | None) -> None:
        """Called in the poller's thread."""
        self.call_later(self._take, view, every)

    def _failed(self, error: Exception) -> None:
        """Called in the poller's thread: there is nothing to watch."""
        assert isinstance(error, ForetellError)
        self.error = error
        self.call_later(self.exit, error.exit_code)

    def _take(self, view: View, every: float | None) -> None:
        known = self.desk.view
        first = known.reading.codes is None and view.reading.codes is not None
        first = first or (known.totals.done == 0 and view.totals.done > 0)
        self.outside.take(self.desk.view, view)
        self.desk.take(view)
        self.desk.every = every
        self.desk.paused = self.poller.pace.paused
        if first:
            self._wants_changed()
        self.host.repaint()

    def _tick(self) -> None:
        """The clock goes on although nothing was read."""
        view = self.desk.view
        if view.live or view.reading.problem is not None:
            self._ticks += 1
            if (view.quiet or 0.0) > CALM and self._ticks % CALM_TICKS:
                return
            none = np.zeros(0, dtype=np.int64)
            monotonic, wall = self.reader.now()
            now = replace(view.reading, monotonic=monotonic, wall=wall, changed=none)
            self.desk.take(reduce(view, now))
            self.host.repaint(ticked=self._ticks % WHOLE != 0)

    def _wants_changed(self) -> None:
        self.poller.want(self.deck.wants())
        self._find_runs()
        self._look_inside()

    def _look_inside(self) -> None:
        """Results and their picture are read when they are in front; from afar when asked for."""
        names = {place.pane for place in self.deck.places}
        results, preview = self.deck.panes["results"], self.deck.panes["preview"]
        assert isinstance(results, Results)
        assert isinstance(preview, Preview)
        if "results" in names:
            results.load()
        near = not self.reader.objects.remote
        if "preview" in names and near and not preview.asked and self.desk.view.totals.done:
            preview.ask()

    def _find_runs(self) -> None:
        """The list of runs is looked for when its screen is in front, and not before."""
        pane = self.deck.panes["runs"]
        assert isinstance(pane, Runs)
        if self.desk.screen != "runs" or pane.rows is not None or self._pending:
            return
        if self.find_runs is None:
            pane.rows = []
            return
        self._pending = True
        find = self.find_runs

        def found(answer: Any) -> None:
            self._pending = False
            pane.rows = answer if isinstance(answer, list) else []
            self.call_later(self.host.repaint)

        self.run_worker(lambda: found(find()), thread=True, exit_on_error=False)

    # --- doing --------------------------------------------------------------------------------

    def act(self, name: str) -> None:
        """Do what a key, the palette or the mouse asks for."""
        before = self.desk.screen
        if not self.deck.press(name):
            self.deeds.do(name)
        if self.desk.screen != before:
            self._wants_changed()
        self.host.repaint()

    def _effect(self, effect: Effect) -> None:
        if effect.kind == "screen":
            self.deck.show(effect.text)
            self._wants_changed()
        elif effect.kind == "focus":
            self.deck.focus_on(effect.text)
        elif effect.kind == "wants":
            self.poller.want(self.deck.wants())
        elif effect.kind == "job" and effect.work is not None:
            then = effect.then
            self.poller.submit(Job(effect.work, lambda answer: self._later(then, answer)))
        elif effect.kind == "compare":
            self._compare(effect)
        elif effect.kind == "compare-with":
            pane = self.deck.panes["compare"]
            assert isinstance(pane, Compare)
            self.deck.show("compare")
            pane.start(effect.text)
        elif effect.kind == "attach":
            self.attach(effect.text)
        else:
            self.deeds.effect(effect)

    def _later(self, then: Callable[[Any], None] | None, answer: Any) -> None:
        """Called in another thread."""
        self.call_later(self._answered, then, answer)

    def _compare(self, effect: Effect) -> None:
        """Two runs are read in a thread of their own: that may take its time."""
        compare, work, then = self.compare, effect.work, effect.then
        if compare is None or work is None:
            return

        def compared() -> None:
            try:
                answer = work(compare)
            except ForetellError as error:
                answer = error.message
            self._later(then, answer)

        self.run_worker(compared, thread=True, exit_on_error=False)

    def _answered(self, then: Callable[[Any], None] | None, answer: Any) -> None:
        if isinstance(answer, Exception):
            self.deeds.say(f"that did not work: {answer}")
        elif then is not None:
            then(answer)
        self.poller.want(self.deck.wants())
        self.host.repaint()

    def attach(self, run: str) -> None:
        """Watch another run."""
        if self.open_run is None:
            return
        try:
            reader = Reader(self.open_run(run))
            view = reduce(None, reader.look())
        except ForetellError as error:
            self.deeds.say(error.message)
            return
        self.poller.stop()
        self.reader = reader
        self.desk.take(view)
        self.desk.chunk, self.desk.worker, self.desk.history = 0, None, {}
        results = self.deck.panes["results"]
        assert isinstance(results, Results)
        results.forget()
        self.poller = self._new_poller(reader)
        self.poller.start(view)
        self.deck.show("overview")
        self._wants_changed()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every action by name, for the command palette."""
        for action in self.deck.actions:
            if action.control and not self.desk.control:
                continue
            title = action.name.replace("_", " ")
            keys = " ".join(map(shown, action.keys))
            text = f"{keys}   {action.text}" if action.text != title else keys
            yield SystemCommand(title, text, lambda name=action.name: self.act(name))

    def on_app_blur(self, event: events.AppBlur) -> None:
        self.poller.pace.asleep = True

    def on_app_focus(self, event: events.AppFocus) -> None:
        if self.poller.pace.asleep:
            self.poller.pace.asleep = False
            self.poller.look_now()


def _theme(palette: Palette) -> Theme:
    good = palette.style("good").color
    return Theme(
        name=f"foretell-{palette.theme}",
        primary=good.name if good is not None else palette.text,
        background=palette.background,
        surface=palette.background,
        foreground=palette.text,
        dark=palette.theme != "light",
    )
