"""Workers that die, tasks that get lost: who is blamed, what runs again, and when it is safe to."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from foretell.engine import blame
from foretell.engine.cluster import Cluster
from foretell.engine.crew import Attempt, Crew, Member, Seat
from foretell.engine.limits import Limits
from foretell.engine.messages import Trouble
from foretell.engine.outcome import Settler
from foretell.engine.queue import WorkQueue
from foretell.engine.recorder import Recorder
from foretell.engine.tasks import LoadFailed
from foretell.errors import LoadError
from foretell.store.leases import LATE_WRITE_SECONDS

DOUBT = 5.0
"""Seconds a failed task waits for the news that its worker is gone."""

MOST_LOAD_DEATHS = 3
"""Workers that may die while they load the model before the run ends."""


class Losses:
    """Handles everything a seat loses.

    Args:
        cluster, crew, limits: The workers.
        work: The queue.
        recorder: Where it is written.
        settler: Counts chunks that are given up.
        load_failed: Ends the session when no worker survives loading the model.
    """

    def __init__(
        self,
        cluster: Cluster,
        crew: Crew,
        limits: Limits,
        work: WorkQueue,
        recorder: Recorder,
        settler: Settler,
        load_failed: Callable[[LoadFailed], None],
    ) -> None:
        self._cluster = cluster
        self._crew = crew
        self._limits = limits
        self._work = work
        self._recorder = recorder
        self._settler = settler
        self._load_failed = load_failed
        self._limbo: list[tuple[float, list[int]]] = []
        self._doubts: dict[str, float] = {}
        self._load_deaths = 0
        self._host = socket.gethostname()
        self.overwritten: set[int] = set()
        """Chunks whose stored objects an unfinished attempt may have replaced."""

    @property
    def pending(self) -> bool:
        """Whether chunks wait until their earlier writer is surely gone."""
        return bool(self._limbo)

    def doubt(self, address: str) -> None:
        """A task failed in Dask's hands: most likely its worker is gone and we hear of it soon."""
        self._doubts[address] = time.monotonic() + DOUBT

    def tick(self, now: float) -> None:
        """Give back what was waited for; settle doubts that nothing has explained."""
        for item in [item for item in self._limbo if item[0] <= now]:
            self._limbo.remove(item)
            for chunk in item[1]:
                self._work.give_back(chunk)
        for address in [a for a, due in self._doubts.items() if due <= now]:
            self._doubted(address)

    def give_back(self, attempt: Attempt) -> None:
        """None of these chunks was to blame."""
        for work in attempt.works:
            self._work.give_back(work.chunk)

    def end_group(self, seat: Seat, attempt: Attempt) -> None:
        """One member failed while others may wait for it for ever: the group ends together."""
        for member in seat.members:
            if member.rank not in attempt.reports:
                self._limits.end(member, "group")

    def reinstall(self, seat: Seat) -> None:
        """Prepare a seat's living processes once more."""
        if seat in self._crew.seats:
            self._crew.seats.remove(seat)
        for attempt in seat.tasks.values():
            self._cluster.cancel(self._crew.keys(seat, attempt))
            self.give_back(attempt)
        for member in seat.members:
            self._crew.joined(member.address)

    def worker_left(self, address: str) -> None:
        """A worker process is gone."""
        lost = self._crew.left(address)
        self._doubts.pop(address, None)
        if lost is None:
            return
        seat, member = lost
        held = [work.chunk for attempt in seat.tasks.values() for work in attempt.works]
        for attempt in seat.tasks.values():
            self._cluster.cancel(self._crew.keys(seat, attempt))
        proven = blame.make_sure_dead(member, self._host)
        stamps, output = blame.read_remains(member) if proven else ([], "")
        exit_code = self._cluster.exit_code(address)
        verdict = blame.judge(member, stamps, held, exit_code, output)
        if held or exit_code:
            self._recorder.say("WARN", f"{address}: {verdict.trouble.message}")
        proven = self._end_others(seat, member) and proven
        if proven:
            blame.sweep_remains(member)
        self._charge(seat, member, held, verdict)
        self._release([c for c in held if c not in verdict.suspects], verdict, proven)
        seat.tasks.clear()

    def _end_others(self, seat: Seat, first: Member) -> bool:
        """A group ends as one; whether all other members are proven dead."""
        proven = True
        for other in seat.members:
            if other is not first:
                if not other.doomed:
                    self._limits.end(other, "group")
                proven = blame.make_sure_dead(other, self._host) and proven
        return proven

    def _charge(self, seat: Seat, member: Member, held: list[int], verdict: blame.Verdict) -> None:
        """Write down who is suspected; the run ends when loading itself kills the workers."""
        if verdict.loading:
            self._load_deaths += 1
            if self._load_deaths >= MOST_LOAD_DEATHS:
                self._load_failed(LoadFailed(verdict.trouble, LoadError.exit_code))
        self.overwritten.update(held)
        shared = len(verdict.suspects) > 1
        attempts = {w.chunk: w.attempt for a in seat.tasks.values() for w in a.works}
        for chunk in sorted(verdict.suspects):
            state = self._work.strike(chunk, time.monotonic(), shared=shared, exhausted=True)
            self._recorder.failed(
                chunk,
                attempts[chunk],
                state,
                verdict.trouble,
                member.index,
                member.address,
                suspect=True,
            )
            self._settler.ended(chunk, state)

    def _release(self, innocent: list[int], verdict: blame.Verdict, proven: bool) -> None:
        """Let the chunks run again: now, or when no put of the lost worker can arrive any more."""
        if proven:
            for chunk in innocent:
                self._work.give_back(chunk)
            return
        until = time.monotonic() + LATE_WRITE_SECONDS
        self._work.hold(verdict.suspects, until)
        if innocent:
            self._limbo.append((until, innocent))

    def _doubted(self, address: str) -> None:
        """A task failed in Dask's hands and its worker is still there: count it, start afresh."""
        del self._doubts[address]
        seat = self._crew.seat_of(address)
        if seat is None:
            return
        trouble = Trouble("dask", "the task was lost by the cluster while its worker lived on")
        leader = seat.members[0]
        for attempt in list(seat.tasks.values()):
            for work in attempt.works:
                state = self._work.strike(work.chunk, time.monotonic(), shared=True)
                self._recorder.failed(
                    work.chunk, work.attempt, state, trouble, leader.index, address
                )
            self._cluster.cancel(self._crew.keys(seat, attempt))
        seat.tasks.clear()
        self.reinstall(seat)
