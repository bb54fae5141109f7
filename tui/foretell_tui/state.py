"""What is shown, worked out from what was read: a pure reducer.

A :class:`Reading` is one look at the store, immutable; :func:`reduce` takes the view so far and the
next reading and returns the next view. No clock, no store, no terminal: all of it is tested with
plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from foretell.store.failures import FailureGroup
from foretell.store.head import Head, Totals
from foretell.store.manifest import Manifest
from foretell.store.rings import LogLine
from foretell.store.standing import Standing
from foretell.store.status import Beat, Judgement, Pulse, judge, observe
from foretell.types import RunState

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
class Problem:
    """Why the last look did not succeed.

    Attributes:
        kind: ``gone``, ``denied``, ``trouble``, ``damaged`` or ``newer``.
        text: A plain sentence.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a look cost.

    Attributes:
        requests: Reads of the store.
        lists: Listings among them.
        bytes: Bytes read.
        seconds: Time it took.
    """

    requests: int = 0
    lists: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The last figures of one worker process; None where they are not known.

    Attributes:
        index: Number of the worker in the run.
        host: Its host.
        pid: Its process.
        time: When sampled, seconds since the epoch.
        rss, rss_peak, rss_limit: Bytes.
        cpu: Cores in use.
        chunks: In hand: (chunk, attempt, phase, seconds).
        gpus: (uuid, busy share 0..1, bytes used, bytes in all) of each.
        job: The scheduler's job id, empty for none.
        devices: Where the model is.
        figures: What the deployment counts.
    """

    index: int
    host: str = ""
    pid: int = 0
    time: float = 0.0
    rss: int | None = None
    rss_peak: int | None = None
    rss_limit: int | None = None
    cpu: float | None = None
    chunks: tuple[tuple[int, int, str, float | None], ...] = ()
    gpus: tuple[tuple[str, float | None, int, int], ...] = ()
    job: str = ""
    devices: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How log and failures call it."""
        return f"w{self.index:02d}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the store. Nothing in it ever changes.

    Attributes:
        monotonic, wall: The viewer's clocks, seconds.
        manifest: What the run is; None while that is not known.
        head: The last head that could be trusted.
        torn: Whether the one read last could not.
        alive: Whether the driver's process exists, None where that cannot be known.
        codes: uint8 ``(n,)``, shown state of every chunk; None before the ledger was read.
        changed: int64 ids that are not as they were at the reading before; None for any.
        segment: Newest ledger segment in ``codes``.
        counted: Totals by the ledger, for runs whose driver no longer keeps the head.
        ended: How the ledger says the newest session ended.
        samples: Of the workers.
        log: The newest lines.
        groups: Failures by cause.
        curve: Rows finished in each of the last seconds of work, see ``Reader``.
        extra: What the screen in front asked for, by name.
        cost: Of this look.
        problem: Why it did not succeed; all the rest is as it was before then.
        every: Seconds until the next look; None for none.
    """

    monotonic: float
    wall: float
    manifest: Manifest | None = None
    shown: str = ""
    head: Head | None = None
    torn: bool = False
    alive: bool | None = None
    codes: np.ndarray | None = None
    changed: np.ndarray | None = None
    segment: int = 0
    counted: Totals | None = None
    ended: tuple[str, int] | None = None
    samples: tuple[Sample, ...] = ()
    log: tuple[LogLine, ...] = ()
    groups: tuple[FailureGroup, ...] = ()
    curve: tuple[float, np.ndarray] | None = None
    rates: Mapping[int, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost = Cost()
    problem: Problem | None = None
    every: float | None = None


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
    totals: Totals = Totals()
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
        if self.word == "GONE" or self.reading.problem is not None and self.judgement is None:
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
        reading, beat, judgement, standing, totals, confirmed, moved, _news(view, reading, judgement)
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
