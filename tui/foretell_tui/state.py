"""What is shown, worked out from what was read: a pure reducer.

A :class:`Reading` is one look at the store, immutable; :func:`reduce` takes the view so far and the
next reading and returns the next view. No clock, no store, no terminal: all of it is tested with
plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from foretell.store.head import Head, Totals
from foretell.store.standing import Standing
from foretell.store.status import Beat, Judgement, Pulse, judge, observe
from foretell.types import RunState

from foretell_tui.reading import Reading

NOTHING = Totals()
"""Counts of a run of which nothing is known yet."""

GOOD, WARN, BAD, INFO, QUIET = "good", "warn", "bad", "info", "quiet"

_TONES = {
    RunState.PLANNED: QUIET,
    RunState.STARTING: QUIET,
    RunState.RUNNING: GOOD,
    RunState.PAUSED: INFO,
    RunState.DRAINING: WARN,
    RunState.PARTIAL: WARN,
    RunState.FAILED: BAD,
    RunState.CANCELLED: QUIET,
    RunState.INTERRUPTED: INFO,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """The progress bar's parts, in chunks; they add up to the run's.

    Attributes:
        resumed: Done by earlier sessions.
        done: Done by this one.
        running: In hand, or waiting for another attempt.
        failed: Failed, quarantined or damaged.
        left: Not begun.
    """

    resumed: int
    done: int
    running: int
    failed: int
    left: int

    @property
    def parts(self) -> tuple[int, int, int, int, int]:
        """In the order they are drawn."""
        return (self.resumed, self.done, self.running, self.failed, self.left)


@dataclass(frozen=True, slots=True)
class View:
    """A run as it is shown.

    Attributes:
        reading: The newest reading.
        beat: The newest heartbeat known.
        judgement: On it; None before the first head.
        standing: How the run stands, with what to do next.
        totals: Counts that add up.
        confirmed: Whether an end that the head tells of is in the ledger too.
        moved: Viewer's monotonic seconds when the number of finished chunks last changed.
        news: What happened while watching, newest last: a new session, a torn head.
        fresh: Whether the last look succeeded.
    """

    reading: Reading
    beat: Beat | None = None
    judgement: Judgement | None = None
    standing: Standing | None = None
    totals: Totals = NOTHING
    confirmed: bool = False
    moved: float = 0.0
    news: tuple[str, ...] = ()

    @property
    def head(self) -> Head | None:
        """The last head that could be trusted."""
        return self.reading.head

    @property
    def fresh(self) -> bool:
        """Whether the last look succeeded."""
        return self.reading.problem is None

    @property
    def n_chunks(self) -> int:
        """Chunks of the run."""
        return self.totals.chunks

    @property
    def unit(self) -> str:
        """What a row is called."""
        return self.head.unit if self.head is not None else "rows"

    @property
    def clean(self) -> bool:
        """Whether everything was predicted and nothing lost."""
        totals = self.totals
        return (
            totals.done == totals.chunks
            and not (totals.failed or totals.quarantined or totals.damaged)
            and not (totals.rows_quarantined or totals.rows_failed)
        )

    @property
    def word(self) -> str:
        """The state in one word; an end that the ledger does not confirm is not told yet."""
        if self.reading.problem is not None and self.reading.problem.kind == "gone":
            return "GONE"
        if self.standing is None:
            return "OPENING"
        if self.ending:
            return "CHECKING"
        return self.standing.word

    @property
    def ending(self) -> bool:
        """Whether the head tells of an end that was not found in the ledger yet."""
        judgement = self.judgement
        return judgement is not None and judgement.pulse is Pulse.ENDED and not self.confirmed

    @property
    def tone(self) -> str:
        """How to colour the state. Green only where nothing is lost."""
        if self.word == "GONE" or (self.reading.problem is not None and self.judgement is None):
            return BAD
        if self.judgement is None or self.ending:
            return QUIET
        if self.judgement.pulse is Pulse.LOST:
            return BAD
        if self.judgement.pulse is Pulse.STALE:
            return WARN
        if self.judgement.state is RunState.DONE:
            return GOOD if self.clean else WARN
        return _TONES.get(self.judgement.state, QUIET)

    @property
    def live(self) -> bool:
        """Whether a driver may be at work."""
        return self.judgement is not None and self.judgement.live

    @property
    def bar(self) -> Bar:
        """The parts of the progress bar."""
        totals = self.totals
        before = self.head.resumed_chunks if self.head is not None else 0
        resumed = min(before, totals.done)
        return Bar(
            resumed,
            totals.done - resumed,
            totals.running + totals.retrying,
            totals.failed + totals.quarantined + totals.damaged,
            totals.pending,
        )

    @property
    def session(self) -> int:
        """Number of the newest session, 0 before the first."""
        return self.head.epoch if self.head is not None else 0

    @property
    def quiet(self) -> float | None:
        """Seconds since the heartbeat moved, by the viewer's clock; None for a run that ended."""
        return self.standing.quiet if self.standing is not None else None

    @property
    def stalled(self) -> float | None:
        """Seconds without a finished chunk when that is remarkably long, else None."""
        head = self.head
        if head is None or not self.live or head.rates.chunk_p95 is None:
            return None
        if self.judgement is None or self.judgement.state is not RunState.RUNNING:
            return None
        still = self.reading.monotonic - self.moved
        limit = max(5 * head.rates.chunk_p95, 3 * head.interval, 10.0)
        return still if self.totals.running and still > limit else None


def reduce(view: View | None, reading: Reading) -> View:
    """The view after one more reading.

    Args:
        view: So far; None at the first reading.
        reading: The newest.
    """
    if view is not None and reading.problem is not None:
        reading = _kept(view.reading, reading)
    if reading.head is None:
        return _headless(view, reading)
    head = reading.head
    beat = observe(
        view.beat if view else None, head, monotonic=reading.monotonic, wall=reading.wall
    )
    judgement = judge(head, beat, monotonic=reading.monotonic, alive=reading.alive)
    judgement, confirmed = _confirmed(judgement, reading)
    totals = _totals(judgement, confirmed, reading)
    standing = (
        Standing(reading.shown, reading.manifest, head, judgement, totals)
        if reading.manifest is not None
        else None
    )
    before = view.totals.done if view else -1
    moved = reading.monotonic if view is None or totals.done != before else view.moved
    return View(
        reading,
        beat,
        judgement,
        standing,
        totals,
        confirmed,
        moved,
        _news(view, reading, judgement),
    )


def _kept(old: Reading, failed: Reading) -> Reading:
    """A look that failed: all is as it was, but for the time and the problem."""
    return replace(
        old,
        monotonic=failed.monotonic,
        wall=failed.wall,
        problem=failed.problem,
        cost=failed.cost,
        every=failed.every,
        changed=np.zeros(0, dtype=np.int64),
        head=failed.head or old.head,
        alive=failed.alive if failed.head is not None else old.alive,
    )


def _headless(view: View | None, reading: Reading) -> View:
    """A run that never had a head: planned, or not known yet."""
    if reading.manifest is None:
        return View(reading, news=view.news if view else ())
    chunks = reading.manifest.n_chunks
    rows = int(reading.manifest.plan["n_rows"])
    totals = Totals(chunks=chunks, pending=chunks, rows=rows)
    standing = Standing(reading.shown, reading.manifest, None, None, totals)
    return View(reading, standing=standing, totals=totals, moved=reading.monotonic)


def _confirmed(judgement: Judgement, reading: Reading) -> tuple[Judgement, bool]:
    """Whether ledger and head agree that it ended; the ledger rules over a driver that is gone."""
    if reading.ended is not None and judgement.pulse in (Pulse.LOST, Pulse.STALE):
        state = RunState(reading.ended[0])
        return Judgement(Pulse.ENDED, state, 0.0, state.value), True
    if judgement.pulse is not Pulse.ENDED:
        return judgement, False
    return judgement, reading.ended is not None and reading.ended[0] == judgement.state.value


def _totals(judgement: Judgement, confirmed: bool, reading: Reading) -> Totals:
    """From the head; from the ledger where no driver keeps the head."""
    assert reading.head is not None
    totals = reading.head.totals
    if judgement.pulse is Pulse.LOST and reading.counted is not None:
        totals = replace(reading.counted, bytes_written=totals.bytes_written)
    if judgement.pulse in (Pulse.LOST, Pulse.ENDED):
        return replace(totals, pending=totals.pending + totals.running, running=0)
    return totals


def _news(view: View | None, reading: Reading, judgement: Judgement) -> tuple[str, ...]:
    news = view.news if view is not None else ()
    old, head = view.head if view is not None else None, reading.head
    assert head is not None
    if old is not None and head.epoch > old.epoch:
        news = (*news, f"session {head.epoch} began on {head.host}, pid {head.pid}")
    if reading.torn and (view is None or not view.reading.torn):
        news = (*news, "the head could not be trusted; the one before it is shown")
    if view is not None and view.judgement is not None:
        was, now = view.judgement.pulse, judgement.pulse
        if was is not now and now in (Pulse.LOST, Pulse.STALE):
            news = (*news, f"{now.value}: {judgement.text}")
    return news[-20:]
