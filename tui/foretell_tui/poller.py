"""The thread that looks at the store: the screen's thread never waits for it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foretell.errors import ForetellError

from foretell_tui.pace import Pace
from foretell_tui.reader import Reader, Wants
from foretell_tui.state import View, reduce


@dataclass(frozen=True, slots=True)
class Job:
    """Work for the thread that reads: what to do with the reader, and who hears of it."""

    work: Callable[[Reader], Any]
    then: Callable[[Any], None]


class Poller:
    """Looks, works out the view, hands it over.

    Args:
        reader: Of the run.
        pace: When to look.
        tell: Called in the poller's thread with every new view and the seconds until the next look,
            None for none.
        fail: Called in it with an error that ends the watching: there is no run.
    """

    def __init__(
        self,
        reader: Reader,
        pace: Pace,
        tell: Callable[[View, float | None], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self.reader = reader
        self.pace = pace
        self.view: View | None = None
        self._tell, self._fail = tell, fail
        self._wants = Wants()
        self._asked: queue.SimpleQueue[Job | Wants | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="foretell-watch", daemon=True)

    def start(self, view: View | None = None) -> None:
        """Begin; ``view`` is what is known already."""
        self.view = view
        self._thread.start()

    def stop(self) -> None:
        """End as soon as the read in hand, if any, has returned; does not wait for it."""
        self._ended.set()
        self._asked.put(None)

    def look_now(self) -> None:
        """Look without waiting for the time to come."""
        self._asked.put(None)

    def want(self, wants: Wants) -> None:
        """Another screen wants other things; what is known is handed over at once."""
        self._asked.put(wants)

    def submit(self, job: Job) -> None:
        """Have work done with the reader."""
        self._asked.put(job)

    def _run(self) -> None:
        wait: float | None = 0.0
        every: float | None = self.pace.base or None
        while not self._ended.is_set():
            due = None if wait is None else time.monotonic() + wait
            asked = self._hear(due)
            if self._ended.is_set():
                return
            try:
                if asked:
                    self.view = reduce(self.view, self.reader.derive(self._wants))
                    self._tell(self.view, every)
                    if due is not None:
                        wait = max(0.0, due - time.monotonic())
                    continue
                self.view = reduce(self.view, self.reader.look(self._wants))
            except ForetellError as error:
                self._fail(error)
                return
            wait = every = self.pace.after(self.view)
            self._tell(self.view, every)

    def _hear(self, due: float | None) -> bool:
        """Take what was asked until it is time to look; whether only a hand-over is asked for."""
        while True:
            left = None if due is None else max(0.0, due - time.monotonic())
            try:
                asked = self._asked.get(timeout=left)
            except queue.Empty:
                return False
            if asked is None:
                return False
            if isinstance(asked, Wants):
                self._wants = asked
                return self.view is not None and self.view.reading.codes is not None
            self._do(asked)

    def _do(self, job: Job) -> None:
        try:
            answer = job.work(self.reader)
        except Exception as error:  # whatever it is, the dashboard goes on and says so
            answer = error
        job.then(answer)
