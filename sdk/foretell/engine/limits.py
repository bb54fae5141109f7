"""Time and memory limits, kept from outside the worker: a hung process cannot keep its own."""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

from foretell.engine.blame import alive
from foretell.engine.board import Phase, Stamp, read_board, read_elapsed
from foretell.engine.cluster import Answered, Cluster, WorkerLeft
from foretell.engine.crew import Crew, Member
from foretell.engine.tasks import kill_process

CHECK_EVERY = 0.25
SAMPLE_EVERY = 2.0
SLOW_AT_LEAST = 30.0
LAST_FIGURES_WAIT = 1.0
"""Seconds the end of a run waits for what its workers counted."""


@dataclass(slots=True)
class Limits:
    """Watches every worker process.

    Args:
        crew: The workers.
        cluster: To reach those of other hosts.
        timeout: Hard limit per chunk in seconds, or None.
        memory_limit: Bytes of one worker process, or None.
        kill: Whether a worker may be ended; False inside the calling process.
        say: Called with (level, text).
    """

    crew: Crew
    cluster: Cluster
    timeout: float | None
    memory_limit: int | None
    kill: bool
    say: Callable[[str, str], None]
    host: str = field(default_factory=socket.gethostname)
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)
    typical: Callable[[], float | None] = lambda: None
    _checked: float = 0.0
    _sampled: float = 0.0
    _slow: set[tuple[int, int]] = field(default_factory=set)
    _peaks: dict[str, int] = field(default_factory=dict)
    _deployments: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Look at every worker, a few times a second at most."""
        now = time.monotonic()
        if now - self._checked < CHECK_EVERY:
            return
        self._checked = now
        sampling = now - self._sampled >= SAMPLE_EVERY
        if sampling:
            self._sampled = now
        for member in list(self.crew.members()):
            if member.info is None or member.doomed:
                continue
            if member.info.host == self.host:
                stamps = read_board(member.info.board)
                self._time(member, stamps, now)
                self._memory(member, stamps, sampling)
            elif sampling:
                self.cluster.call_nanny(member.address, "board", read_elapsed, member.info.board)
            if sampling:
                self.cluster.sample(member.address, self.crew.job.run)

    def board_read(self, answer: Answered) -> None:
        """The board of a worker of another host; its clock is that host's, so ages are not ours."""
        member = self.crew.member(answer.address)
        if member is not None and isinstance(answer.result, list):
            self._time(member, answer.result, None)

    def sampled(self, answer: Answered) -> None:
        """Figures a worker gave of itself: its deployment's, and on another host its memory's."""
        member = self.crew.member(answer.address)
        if not isinstance(answer.result, dict) or member is None or member.info is None:
            return
        self._deployments[answer.address] = answer.result["deployment"]
        if member.info.host != self.host or answer.address not in self.samples:
            self._keep(answer.address, answer.result["rss"], answer.result["cpu_seconds"], [])
        self.samples[answer.address]["deployment"] = answer.result["deployment"]

    def last_figures(self, inbox: queue.Queue[Any]) -> None:
        """Ask every worker once more and wait a moment; whatever else arrives comes too late."""
        ready = [seat for seat in self.crew.seats if seat.ready]
        asked = {member.address for seat in ready for member in seat.members}
        for address in asked:
            self.cluster.sample(address, self.crew.job.run)
        deadline = time.monotonic() + LAST_FIGURES_WAIT
        while asked and (left := deadline - time.monotonic()) > 0:
            try:
                event = inbox.get(timeout=left)
            except queue.Empty:
                return
            match event:
                case Answered(address=address, what="stats"):
                    self.sampled(event)
                    asked.discard(address)
                case WorkerLeft(address):
                    asked.discard(address)

    def _time(self, member: Member, stamps: list[Stamp], now: float | None) -> None:
        for stamp in stamps:
            if stamp.phase in (Phase.IDLE, Phase.WAIT, Phase.LOAD):
                continue
            elapsed = stamp.active if now is None else stamp.elapsed(now)
            if self.timeout is not None and elapsed > self.timeout and self.kill:
                self.say("WARN", f"chunk {stamp.chunk} runs for {elapsed:.0f} s: ending its worker")
                self.end(member, "timeout")
                return
            self._mention_slow(stamp, elapsed)

    def _mention_slow(self, stamp: Stamp, elapsed: float) -> None:
        if elapsed <= SLOW_AT_LEAST:
            return
        typical = self.typical()
        limit = max(SLOW_AT_LEAST, 5 * typical if typical else 0.0)
        which = (stamp.chunk, stamp.attempt)
        if elapsed > limit and which not in self._slow:
            self._slow.add(which)
            phase = stamp.phase.name.lower()
            self.say("WARN", f"slow: chunk {stamp.chunk} is in {phase} for {elapsed:.0f} s")

    def _memory(self, member: Member, stamps: list[Stamp], sampling: bool) -> None:
        assert member.info is not None
        if not alive(member.info.pid, member.info.pid_started):
            return
        try:
            process = psutil.Process(member.info.pid)
            rss = process.memory_info().rss
            cpu = sum(process.cpu_times()[:2]) if sampling else 0.0
        except psutil.Error:
            return
        if self.memory_limit is not None and rss > self.memory_limit and self.kill:
            self.say("WARN", f"a worker holds {rss:,} bytes, above its limit: ending it")
            self.end(member, "memory")
        if sampling:
            self._keep(member.address, rss, cpu, stamps)

    def _keep(self, address: str, rss: int, cpu: float, stamps: list[Stamp]) -> None:
        member = self.crew.member(address)
        if member is None or member.info is None:
            return
        before = self.samples.get(address, {})
        peak = self._peaks[address] = max(rss, self._peaks.get(address, 0))
        now = time.time()
        share = None
        if before:
            share = (cpu - before["cpu_seconds"]) / max(1e-3, now - before["time"])
        self.samples[address] = {
            "index": member.index,
            "address": address,
            "host": member.info.host,
            "pid": member.info.pid,
            "pid_started": member.info.pid_started,
            "job": member.info.job,
            "time": now,
            "rss": rss,
            "rss_peak": peak,
            "rss_limit": self.memory_limit,
            "cpu_seconds": cpu,
            "cpu": share,
            "chunks": [
                [s.chunk, s.attempt, s.phase.name.lower(), round(s.elapsed(), 1)]
                for s in stamps
                if s.chunk >= 0
            ],
            "deployment": self._deployments.get(address, {}),
        }

    def end(self, member: Member, why: str) -> None:
        """End a worker process at once, from outside."""
        member.doomed = why
        if member.info is None:
            return
        if member.info.host == self.host:
            kill_process(member.info.pid)
        else:
            self.cluster.call_nanny(member.address, "kill", kill_process, member.info.pid)
