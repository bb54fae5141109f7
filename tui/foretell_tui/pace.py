"""When to look next."""

from __future__ import annotations

from dataclasses import dataclass

from foretell_tui.state import View

LONGEST = 60.0
"""Seconds between looks at most."""

LOCAL, REMOTE = 1.0, 5.0
"""Seconds between looks at a live run."""

_CALM = 3
"""Looks without a change after which the time between them doubles."""


@dataclass(slots=True)
class Pace:
    """The time between looks: doubled while nothing changes, nobody watches, or looks fail.

    Attributes:
        base: Seconds while there is news; 0 for looks by hand only.
        asleep: Whether nobody watches: the window is not in front.
        paused: Whether the user stopped the looks.
    """

    base: float
    asleep: bool = False
    paused: bool = False
    _same: int = 0
    _seen: tuple[int, int, bool] = (-1, -1, True)

    def after(self, view: View) -> float | None:
        """Seconds until the next look; None for none."""
        head = view.head
        seen = (head.sequence if head else 0, view.reading.segment, view.fresh)
        same = seen == self._seen or not view.fresh
        self._same = self._same + 1 if same else 0
        self._seen = seen
        if self.paused or self.base == 0 or self._finished(view):
            return None
        if view.fresh and view.reading.codes is None:
            return 0.0
        doublings = max(0, self._same - _CALM) if view.fresh else self._same
        wait = self.base * 2.0 ** min(doublings, 10)
        if self.asleep:
            wait = max(wait, 4 * self.base)
        return max(self.base, min(LONGEST, wait))

    def faster(self, by: float) -> None:
        """Divide the time between looks by ``by``."""
        self.base = min(LONGEST, max(0.25, (self.base or 1.0) / by))
        self._same = 0

    @staticmethod
    def _finished(view: View) -> bool:
        """Whether nothing more can come: done, and the ledger says so."""
        return view.confirmed and view.word == "DONE" and view.reading.codes is not None
