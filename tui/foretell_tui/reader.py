"""Looks at a run store, again and again, and hands out immutable readings.

The first look reads the manifest and the head alone, so that something is on the screen at once;
the next ones follow the ledger. While a run goes on a look costs the head (not sent when it is
unchanged), the new segments, and in turn the workers' figures or what was added to the log.
Nothing is listed.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from foretell.errors import DamagedLedger, ForetellError, StoreError
from foretell.redact import redact_url
from foretell.store.failure_records import read_failure_segment
from foretell.store.failures import group_failures
from foretell.store.follow import Follower, News
from foretell.store.head import Head, parse_head
from foretell.store.layout import HEAD, MANIFEST, WORKERS
from foretell.store.manifest import read_manifest
from foretell.store.objects import ObjectStore
from foretell.store.rings import LogLine
from foretell.store.status import LOST_SECONDS, driver_alive, state_of
from foretell.types import ChunkState

from foretell_tui import derive
from foretell_tui.known import Known, Made
from foretell_tui.logtail import LogTail
from foretell_tui.mapmodel import shown_codes
from foretell_tui.pictures import Pictures
from foretell_tui.problems import UPGRADE, problem_of
from foretell_tui.query import Query
from foretell_tui.reading import Cost, Problem, Reading
from foretell_tui.readonly import ReadOnly
from foretell_tui.samples import samples_of

FAILURE_SEGMENTS = 32
"""Failure segments read in one look."""

_NONE = np.zeros(0, dtype=np.int64)

SHARE = 100
"""What costs much is worked out again after this many times the time it took."""


@dataclass(frozen=True, slots=True)
class Wants:
    """What the screen in front wants to know beside the usual.

    Attributes:
        chunks: Chunks to list.
        chunk: One chunk to look at.
        stream: Begin, end and columns of a task stream.
        order: How the map is ordered: ``linear``, ``time`` or ``worker``.
    """

    chunks: Query | None = None
    chunk: int | None = None
    stream: tuple[float | None, float | None, int] | None = None
    order: str = "linear"


class Reader:
    """One run, looked at.

    Args:
        objects: The run store; written to by nobody here.
        monotonic, wall: Clocks, seconds.
        alive: Whether the driver's process exists.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        alive: Callable[[Head], bool | None] = driver_alive,
    ) -> None:
        self.objects = ReadOnly(objects)
        self.shown = redact_url(objects.url)
        self.follower: Follower | None = None
        self._monotonic, self._wall, self._alive = monotonic, wall, alive
        self._log = LogTail(self.objects)
        self._known = Known()
        self._newer: Head | None = None
        self._problem: Problem | None = None
        self._cost = Cost()
        self._lock = threading.Lock()
        self._pictures: Pictures | None = None

    def look(self, wants: Wants | None = None) -> Reading:
        """Look once. Errors of the storage become a problem in the reading, never a raise.

        Raises:
            NotARun: there is no run, at the first look.
            StoreError: its manifest is damaged, at the first look.
        """
        with self._lock:
            return self._looked(wants or Wants())

    def _looked(self, wants: Wants) -> Reading:
        before = (self.objects.requests, self.objects.lists, self.objects.bytes)
        began = time.perf_counter()
        problem = None
        try:
            problem = self._look()
        except ForetellError as error:
            if self.follower is None and self._newer is None:
                raise
            problem = problem_of(error)
        except OSError as error:
            problem = Problem("trouble", f"the store cannot be read: {error.strerror or error}")
        self._problem, self._cost = (
            problem,
            Cost(
                self.objects.requests - before[0],
                self.objects.lists - before[1],
                self.objects.bytes - before[2],
                time.perf_counter() - began,
            ),
        )
        return self._reading(wants)

    def now(self) -> tuple[float, float]:
        """The clocks: monotonic, wall."""
        return self._monotonic(), self._wall()

    def derive(self, wants: Wants) -> Reading:
        """What is known, with what another screen wants; reads nothing."""
        with self._lock:
            return self._reading(wants)

    # --- reading ------------------------------------------------------------------------------

    def _look(self) -> Problem | None:
        if self.follower is None:
            return self._open()
        follower = self.follower
        newer = follower.look()
        if follower.head is None:
            if self._known.codes is None:
                self._take(News())
            return self._gone() if follower.missing else None
        if follower.missing:
            return self._gone() or Problem("trouble", "the head of the run is missing")
        first = self._known.codes is None
        settled = self._settled() != self._known.settled
        if newer or first or follower.behind or settled:
            self._catch_up(beyond=self._abandoned())
        elif self._abandoned() and not follower.table.ended and self._known.turn % 8 == 0:
            self._catch_up(beyond=True)
        if newer or first:
            self._besides(follower.head, first)
        self._known.turn += 1
        return None

    def _open(self) -> Problem | None:
        if self._newer is not None:
            self._read_newer_head()
            return Problem("newer", UPGRADE)
        try:
            manifest = read_manifest(self.objects)
        except StoreError:
            if not self._is_newer():
                raise
            self._read_newer_head()
            return Problem("newer", UPGRADE)
        self.follower = Follower(self.objects, manifest)
        self.follower.look()
        return None

    def _is_newer(self) -> bool:
        with suppress(ValueError, TypeError, KeyError, AttributeError, FileNotFoundError):
            return int(json.loads(self.objects.get(MANIFEST))["version"]) > 1
        return False

    def _read_newer_head(self) -> None:
        with suppress(FileNotFoundError):
            self._newer = parse_head(self.objects.get(HEAD)) or self._newer

    def _gone(self) -> Problem | None:
        """Whether it is the store that is missing, or only its head."""
        try:
            self.objects.version(MANIFEST)
        except FileNotFoundError:
            return Problem("gone", "the store is gone")
        return None

    def _abandoned(self) -> bool:
        """Whether the driver no longer writes the head: the ledger may know more."""
        assert self.follower is not None
        head = self.follower.head
        if head is None or state_of(head).ended:
            return False
        return self._alive(head) is False or self._wall() - head.time > LOST_SECONDS

    def _settled(self) -> bool:
        """Whether no driver is at work, by ledger or process."""
        assert self.follower is not None
        return self.follower.table.ended is not None or self._abandoned()

    def _catch_up(self, beyond: bool) -> None:
        assert self.follower is not None
        try:
            news = self.follower.read_on(beyond=beyond)
        except FileNotFoundError as error:
            raise DamagedLedger(f"a segment of the ledger is missing: {error}") from error
        self._take(news)

    def _take(self, news: News) -> None:
        follower, known = self.follower, self._known
        assert follower is not None
        settled = self._settled()
        if not news and known.codes is not None and settled == known.settled:
            known.changed = np.zeros(0, dtype=np.int64)
            return
        same = settled == known.settled and known.codes is not None and not news.whole
        known.settled = settled
        codes, known.changed = self._stepped(news) if same else self._anew(settled)
        codes.flags.writeable = False
        known.codes = codes
        known.keep_curve(follower, news)
        known.keep_rates(follower, news)

    def _stepped(self, news: News) -> tuple[np.ndarray, np.ndarray]:
        """The shown states where only some chunks may have changed, and those that did."""
        follower, known = self.follower, self._known
        assert follower is not None
        assert known.codes is not None
        codes = known.codes.copy()
        ids = np.unique(np.concatenate(news.touched)) if news.touched else _NONE
        new = self._codes_of(ids, known.settled)
        changed = ids[new != codes[ids]]
        codes[ids] = new
        return codes, changed

    def _anew(self, settled: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """The shown states of all chunks, and which are not as they were; None for any."""
        known = self._known
        codes = self._codes_of(slice(None), settled)
        if known.codes is None or len(known.codes) != len(codes):
            return codes, None
        return codes, np.flatnonzero(codes != known.codes)

    def _codes_of(self, ids: Any, settled: bool) -> np.ndarray:
        assert self.follower is not None
        table = self.follower.table
        codes = shown_codes(table.state[ids], table.quarantined[ids])
        if settled:
            # Nobody is at work: what was in hand is still to do.
            codes[codes == ChunkState.RUNNING] = ChunkState.PENDING
        return codes

    def _besides(self, head: Head, first: bool) -> None:
        """Workers and log in turn, failures when there are new ones."""
        if first or self._known.turn % 2 == 0:
            self._read_workers()
        if first or self._known.turn % 2 == 1 or state_of(head).ended:
            self._log.look(head)
        self._read_failures(head)

    def _read_workers(self) -> None:
        # Times of local files may be stale, and with a newer head this file is newer too.
        known = self._known.samples_version if self.objects.remote else None
        with suppress(FileNotFoundError):
            found = self.objects.get_if_changed(WORKERS, known)
            if found is not None:
                self._known.samples_version = found[1]
                self._known.samples = samples_of(found[0]) or self._known.samples

    def _read_failures(self, head: Head) -> None:
        known = self._known
        assert self.follower is not None
        until = min(head.last_failure, known.failure_segment + FAILURE_SEGMENTS)
        for number in range(known.failure_segment + 1, until + 1):
            with suppress(FileNotFoundError):
                known.failures += read_failure_segment(self.objects, number)
            known.failure_segment = number
        if known.failures and known.failures_at != self.follower.last_segment:
            known.failures_at = self.follower.last_segment
            known.groups = tuple(group_failures(known.failures, self.follower.table))
            known.failed_by = Counter(failure.worker for failure in known.failures)

    # --- handing out --------------------------------------------------------------------------

    def _reading(self, wants: Wants) -> Reading:
        follower, known = self.follower, self._known
        problem, cost = self._problem, self._cost
        monotonic, wall = self.now()
        if follower is None:
            return Reading(
                monotonic, wall, shown=self.shown, head=self._newer, cost=cost, problem=problem
            )
        head = follower.head
        ended = follower.table.ended
        alive = None if head is None or state_of(head).ended else self._alive(head)
        reading = Reading(
            monotonic,
            wall,
            manifest=follower.manifest,
            shown=self.shown,
            head=head,
            torn=follower.torn,
            alive=alive,
            codes=known.codes,
            changed=known.changed,
            segment=follower.last_segment,
            counted=self._counted(),
            ended=None if ended is None else (ended.state, ended.exit_code),
            samples=known.samples,
            log=self._log.lines,
            groups=known.groups,
            failed_by=known.failed_by,
            curve=known.curve,
            rates=known.rates,
            extra=self._extra(wants),
            cost=cost,
            problem=problem,
        )
        known.changed = np.zeros(0, dtype=np.int64)
        return reading

    def _counted(self) -> Any:
        follower = self.follower
        assert follower is not None
        if self._known.codes is None or not self._abandoned():
            return None
        return follower.table.totals(follower.plan.n_rows, follower.plan.chunk_rows)

    def _extra(self, wants: Wants) -> dict[str, Any]:
        follower, known = self.follower, self._known
        assert follower is not None
        if known.codes is None:
            return {}
        table, plan = follower.table, follower.plan
        extra: dict[str, Any] = {}
        if known.order[0] != wants.order:
            known.order = (wants.order, derive.order_by(table, wants.order))
        extra["order"] = known.order
        codes = known.codes
        if (query := wants.chunks) is not None:
            extra["chunks"] = self._made(
                "chunks", query, lambda: derive.chunk_list(table, plan, codes, query)
            )
        if wants.chunk is not None and 0 <= wants.chunk < plan.n_chunks:
            code = int(known.codes[wants.chunk])
            extra["chunk"] = derive.chunk_row(table, plan, wants.chunk, code)
        if (stretch := wants.stream) is not None:
            extra["stream"] = self._made(
                "stream", stretch, lambda: derive.stream(table, codes, *stretch)
            )
        return extra

    def _made(self, name: str, key: Any, make: Callable[[], Any]) -> Any:
        """Work it out anew when it is out of date, and that is not too much of the time."""
        assert self.follower is not None
        segment, now = self.follower.last_segment, self._monotonic()
        made = self._known.made.get(name)
        fresh = made is not None and (made.segment == segment or now - made.at < SHARE * made.took)
        if made is not None and made.key == key and fresh:
            return made.value
        began = time.perf_counter()
        value = make()
        took = time.perf_counter() - began
        self._known.made[name] = Made(key, segment, now, took, value)
        return value

    # --- on demand ----------------------------------------------------------------------------

    @property
    def pictures(self) -> Pictures:
        """Small reads of the results."""
        if self._pictures is None:
            self._pictures = Pictures(self.objects)
        return self._pictures

    def older_log(self) -> tuple[LogLine, ...]:
        """The log with one more segment before what is known."""
        self._log.older()
        return self._log.lines
