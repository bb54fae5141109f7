"""Where services live: placed by memory over the workers, placed again when their host is lost."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from foretell.engine.cluster import Cluster, TaskEnded
from foretell.engine.crew import Crew
from foretell.engine.services import start_service
from foretell.errors import LoadError
from foretell.types import ServiceSpec

ROOM_WAIT = 60.0
"""Seconds a service waits for a worker that has room for it."""

GATHER = 20.0
"""Seconds to wait for all expected workers before the first service is placed."""

MOST_STARTS = 5
"""Starts of one service that may fail or lose their host before the run ends."""


@dataclass(slots=True)
class _Place:
    spec: ServiceSpec
    address: str = ""
    generation: int = 0
    ready: bool = False
    lost_at: float = 0.0
    waits_since: float = 0.0


class Placement:
    """Keeps every declared service running somewhere.

    Args:
        cluster: To start services through.
        specs: What the deployer declared.
        run: Name of the run.
        base_dir: Where factories are looked up first.
        workers: How many workers are expected.
        say: Told what happens.
        memory: Bytes of services one worker may hold, None for any number.
    """

    def __init__(
        self,
        cluster: Cluster,
        specs: Sequence[ServiceSpec],
        run: str,
        base_dir: str,
        workers: int,
        say: Callable[[str, str], None],
        memory: int | None = None,
    ) -> None:
        self._cluster = cluster
        self._places = [_Place(spec) for spec in specs]
        self._run = run
        self._base_dir = base_dir
        self._workers = workers
        self.say = say
        self._memory = memory
        self._began = time.monotonic()
        self._keys: dict[str, _Place] = {}
        self._count = itertools.count(1)

    @property
    def ready(self) -> bool:
        """Whether every service runs."""
        return all(place.ready for place in self._places)

    def routes(self) -> dict[str, tuple[str, int]]:
        """Name to (address, generation) of every running service, as workers are told."""
        return {p.spec.name: (p.address, p.generation) for p in self._places if p.ready}

    def keep(self, crew: Crew) -> None:
        """Place what has no place, once the expected workers are there or were waited for."""
        homeless = [place for place in self._places if not place.address]
        hosts = [seat.address for seat in crew.seats if seat.ready]
        if not homeless or not hosts:
            return
        waited = time.monotonic() - self._began > GATHER
        first = all(place.generation == 0 for place in self._places)
        if first and len(hosts) < self._workers and not waited:
            return
        for place in sorted(homeless, key=lambda p: -p.spec.memory):
            roomy = [host for host in hosts if self._has_room(host, place)]
            if roomy:
                self._start(place, min(roomy, key=self._load))
            else:
                self._wait_for_room(place, len(hosts))

    def _has_room(self, address: str, place: _Place) -> bool:
        return self._memory is None or self._load(address)[0] + place.spec.memory <= self._memory

    def _wait_for_room(self, place: _Place, hosts: int) -> None:
        now = time.monotonic()
        place.waits_since = place.waits_since or now
        if hosts < self._workers and now - place.waits_since < ROOM_WAIT:
            return
        raise LoadError(
            f"no worker has room for service {place.spec.name!r}",
            facts=[
                ("needs", f"{place.spec.memory:,} bytes"),
                ("a worker may hold", f"{self._memory:,} bytes"),
                ("workers", str(hosts)),
            ],
            tries=[("schedule.workers = …", "more workers, or a larger budget")],
            slug="service-memory",
        )

    def _load(self, address: str) -> tuple[int, int]:
        held = [place for place in self._places if place.address == address]
        return sum(place.spec.memory for place in held), len(held)

    def _start(self, place: _Place, address: str) -> None:
        if place.generation >= MOST_STARTS:
            raise LoadError(
                f"service {place.spec.name!r} was started {MOST_STARTS} times and lost each time",
                facts=[("factory", place.spec.factory)],
                slug="service",
            )
        place.address, place.generation, place.ready = address, place.generation + 1, False
        place.waits_since = 0.0
        key = f"{self._run}-service-{next(self._count)}"
        self._keys[key] = place
        self._cluster.submit(key, address, start_service, self._run, place.spec, self._base_dir)

    def ended(self, event: TaskEnded) -> bool:
        """Take note of a start; True when the event was one.

        Raises:
            LoadError: the factory failed.
        """
        place = self._keys.pop(event.key, None)
        if place is None:
            return False
        if not event.error:
            place.ready = True
            again = (
                f" again, {time.monotonic() - place.lost_at:.1f} s after" if place.lost_at else ""
            )
            self.say("INFO", f"service {place.spec.name} runs{again} on {place.address}")
        elif place.address == event.address and event.error.startswith("failed:"):
            raise LoadError(
                f"service {place.spec.name!r} cannot be started",
                facts=[("factory", place.spec.factory), ("cause", event.error[7:].strip())],
                slug="service",
            )
        else:
            place.address = ""
        return True

    def left(self, address: str) -> None:
        """A worker is gone, and the services on it."""
        for place in self._places:
            if place.address == address:
                place.address, place.ready, place.lost_at = "", False, time.monotonic()
                self.say("WARN", f"service {place.spec.name} was lost with {address}")
