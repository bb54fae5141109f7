"""A worker's permission to store, renewed by its driver every few seconds.

A renewal echoes a moment of the worker's own monotonic clock, and the lease lasts from that moment
on. So clocks of different hosts never meet, and a renewal that lay in the socket buffer of a
stopped worker grants nothing once it is continued: the moment it echoes is long past.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from foretell.errors import LeaseLost
from foretell.store.leases import LEASE_SECONDS

RENEW_EVERY = 2.5
"""Seconds between renewals."""

GRACE = 6.0
"""How long a put waits for a late renewal, e.g. after a model held the interpreter lock."""


class WorkerLease:
    """The worker's side; see :class:`foretell.store.objects.Lease`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, grace: float = GRACE) -> None:
        self._clock = clock
        self._grace = grace
        self._expires = float("-inf")
        self._renewed = threading.Condition()
        self.draining = False

    def moment(self) -> float:
        """A moment for the driver to echo in its next renewal."""
        return self._clock()

    def renew(self, echoed: float, seconds: float = LEASE_SECONDS) -> None:
        """Extend the lease to ``seconds`` after the echoed moment, never shortening it."""
        with self._renewed:
            self._expires = max(self._expires, echoed + seconds)
            self._renewed.notify_all()

    def revoke(self) -> None:
        """End the lease now: the run is over for this process."""
        with self._renewed:
            self._expires = float("-inf")
            self._grace = 0.0
            self._renewed.notify_all()

    def check(self) -> None:
        """Return while the lease holds, waiting a little for a late renewal.

        Raises:
            LeaseLost: no renewal came; the driver is gone or cannot reach this worker.
        """
        if self._clock() < self._expires:
            return
        with self._renewed:
            self._renewed.wait_for(lambda: self._clock() < self._expires, timeout=self._grace)
            if self._clock() < self._expires:
                return
        raise LeaseLost(
            "this worker may not store: its driver has not renewed the lease",
            facts=[("lease", f"{LEASE_SECONDS:.0f} s, waited {self._grace:.0f} s for a renewal")],
        )
