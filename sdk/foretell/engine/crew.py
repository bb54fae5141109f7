"""The workers of a run, as seats: one process, or a group of processes that act as one.

A seat is formed when its processes are connected and prepared, holds the tasks it was given, and is
dissolved when any of its processes is gone. Its processes' leases are renewed from here.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from foretell.engine.cluster import Answered, Cluster
from foretell.engine.lease import RENEW_EVERY
from foretell.engine.messages import ChunkReport, ChunkWork, WorkerJob
from foretell.engine.tasks import Installed
from foretell.types import GroupInfo

MOST_INSTALLS = 5
"""Times a process is asked to prepare for a run; a busy host answers late."""


@dataclass(slots=True)
class Attempt:
    """One task given to a seat.

    Attributes:
        key: Name of the task; each member's Dask key adds its rank.
        works: The chunks, in order.
        alone: Whether nothing runs beside it on the seat.
        reports: What the members returned so far, by rank.
    """

    key: str
    works: tuple[ChunkWork, ...]
    alone: bool
    reports: dict[int, list[ChunkReport]] = field(default_factory=dict)


@dataclass(slots=True)
class Member:
    """One worker process."""

    address: str
    index: int
    group: GroupInfo
    info: Installed | None = None
    moment: float = 0.0
    renewed: float = 0.0
    leased: bool = False
    tries: int = 1
    """How often it was asked to prepare."""
    heard: int = 0
    """Bytes of its output that were read."""
    doomed: str = ""
    """Why we ended it, empty when we did not."""

    @property
    def rank(self) -> int:
        """Its place in its group."""
        return self.group.rank


@dataclass(slots=True)
class Seat:
    """What one deployment runs on."""

    members: list[Member]
    tasks: dict[str, Attempt] = field(default_factory=dict)
    ready: bool = False
    turns: int = 0
    """Chunks given out so far."""

    @property
    def lone(self) -> bool:
        """Whether a chunk runs alone here."""
        return any(task.alone for task in self.tasks.values())

    @property
    def address(self) -> str:
        """Address of the leading process."""
        return self.members[0].address


class Crew:
    """All seats of a run.

    Args:
        cluster: Where the workers are.
        job: What is installed on each.
        group_size: Processes of a seat.
        first_index: Number of the first worker, unique over all sessions of the run.
    """

    def __init__(self, cluster: Cluster, job: WorkerJob, group_size: int, first_index: int) -> None:
        self._cluster = cluster
        self.job = job
        self._size = group_size
        self._next_index = first_index
        self._generation = 0
        self._standby: list[str] = []
        self.seats: list[Seat] = []
        self.routes: Callable[[], Mapping[str, tuple[str, int]]] = dict
        self.gone: set[str] = set()

    def members(self) -> Iterator[Member]:
        """Every process of every seat."""
        for seat in self.seats:
            yield from seat.members

    def seat_of(self, address: str) -> Seat | None:
        """The seat a process belongs to."""
        for seat in self.seats:
            if any(member.address == address for member in seat.members):
                return seat
        return None

    def member(self, address: str) -> Member | None:
        """The process with this address."""
        return next((m for m in self.members() if m.address == address), None)

    def joined(self, address: str) -> None:
        """A process connected: form a seat as soon as there are enough."""
        if self.seat_of(address) is not None or address in self._standby:
            return
        self._standby.append(address)
        while len(self._standby) >= self._size:
            chosen, self._standby = self._standby[: self._size], self._standby[self._size :]
            self._form(chosen)

    def take_over(self, other: Crew) -> None:
        """Seat the processes of the dry batch as they were, so that what they loaded stays."""
        self._generation = other._generation
        for seat in other.seats:
            self._seat([(member.address, member.group) for member in seat.members])
        for address in other._standby:
            self.joined(address)

    def _form(self, addresses: list[str]) -> None:
        self._generation += 1
        meeting = f"{_host(addresses[0])}:{_free_port()}" if self._size > 1 else ""
        self._seat(
            [
                (address, GroupInfo(rank, self._size, meeting, self._generation))
                for rank, address in enumerate(addresses)
            ]
        )

    def _seat(self, places: list[tuple[str, GroupInfo]]) -> None:
        seat = Seat([Member(address, self._index(), group) for address, group in places])
        self.seats.append(seat)
        for member in seat.members:
            self._cluster.install(member.address, self.job, member.index, member.group)

    def _index(self) -> int:
        self._next_index += 1
        return self._next_index - 1

    def install_again(self, answer: Answered) -> bool:
        """Prepare a process once more that was too slow to answer; False when that is no use."""
        member = self.member(answer.address)
        if member is None:
            return True  # gone meanwhile, nothing to prepare
        if not answer.error.startswith("TimeoutError") or member.tries >= MOST_INSTALLS:
            return False
        member.tries += 1
        self._cluster.install(member.address, self.job, member.index, member.group)
        return True

    def installed(self, answer: Answered) -> Member | None:
        """A process is prepared: renew its lease for the first time."""
        member = self.member(answer.address)
        if member is None or answer.error:
            return None
        member.info = answer.result
        member.moment = answer.result.moment
        self.renew(member, draining=False)
        return member

    def renewed(self, answer: Answered) -> bool:
        """A lease was renewed; True when that made its seat ready."""
        member = self.member(answer.address)
        if member is None or answer.result is None:
            return False
        member.moment, member.leased = answer.result, True
        seat = self.seat_of(answer.address)
        if seat is None or seat.ready or not all(m.leased for m in seat.members):
            return False
        seat.ready = True
        return True

    def renew(self, member: Member, *, draining: bool) -> None:
        """Send one renewal."""
        member.renewed = time.monotonic()
        self._cluster.renew(member.address, self.job.run, member.moment, draining, self.routes())

    def renew_due(self, *, draining: bool, force: bool = False) -> None:
        """Send every renewal that is due."""
        now = time.monotonic()
        for member in self.members():
            if member.info and (force or now - member.renewed >= RENEW_EVERY):
                self.renew(member, draining=draining)

    def left(self, address: str) -> tuple[Seat, Member] | None:
        """A process is gone: its seat is dissolved and handed over with what it held."""
        if address in self._standby:
            self._standby.remove(address)
        seat = self.seat_of(address)
        if seat is None:
            return None
        member = next(m for m in seat.members if m.address == address)
        self.seats.remove(seat)
        return seat, member

    def keys(self, seat: Seat, attempt: Attempt) -> list[str]:
        """Dask's keys of one attempt, a member each."""
        return [f"{attempt.key}-{member.rank}" for member in seat.members]


def _host(address: str) -> str:
    return urlsplit(address).hostname or "127.0.0.1"


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
