"""Which workers are connected to a scheduler: none is missed, none that left is counted.

The scheduler tells of comings and goings over one connection and lists who is there over another,
and neither waits for the other. So the list is asked for when the telling surely has begun, and
whoever is said to leave while it is under way is taken off it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from distributed import Client

SUBSCRIBE_WAIT = 30.0
"""Seconds a scheduler may take to begin to tell."""


class Attendance:
    """Tells who is there, and from then on who comes and who goes.

    Args:
        client: A connected client.
        joined: Called with the address of a worker that is there or comes; more than once, maybe.
        left: Called with the address of a worker that went.

    Raises:
        TimeoutError: the scheduler does not tell within ``SUBSCRIBE_WAIT`` seconds.
    """

    def __init__(
        self, client: Client, joined: Callable[[str], None], left: Callable[[str], None]
    ) -> None:
        self._joined = joined
        self._left = left
        self._order = threading.Lock()
        self._gone: set[str] = set()
        client.subscribe_topic("all", self._heard)
        _subscribed(client)
        listed = present(client)
        with self._order:
            for address in listed:
                if address not in self._gone:
                    joined(address)

    def _heard(self, event: tuple[float, Any]) -> None:
        _, message = event
        if not isinstance(message, Mapping):
            return
        with self._order:
            if message.get("action") == "remove-worker":
                address = str(message["worker"])
                self._gone.add(address)
                self._left(address)
            elif message.get("action") == "add-worker":
                address = str(message["worker"])
                self._gone.discard(address)
                self._joined(address)


def present(client: Client) -> list[str]:
    """Addresses of the workers the scheduler knows now."""
    return list(client.scheduler_info(n_workers=-1)["workers"])


def _subscribed(client: Client) -> None:
    """Wait until subscriptions of this client stand: they are taken in order."""
    topic = f"foretell-{client.id}"
    heard = threading.Event()
    client.subscribe_topic(topic, lambda event: heard.set())
    until, pause = time.monotonic() + SUBSCRIBE_WAIT, 0.005
    client.log_event(topic, "subscribed")
    while not heard.wait(pause):
        if time.monotonic() > until:
            raise TimeoutError(f"the scheduler told nothing for {SUBSCRIBE_WAIT:.0f} s")
        client.log_event(topic, "subscribed")
        pause = min(2 * pause, 1.0)
    client.unsubscribe_topic(topic)
