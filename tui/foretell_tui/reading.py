"""One look at a store, as immutable values: what the reader hands to the reducer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from foretell.store.failures import FailureGroup
from foretell.store.head import Head, Totals
from foretell.store.manifest import Manifest
from foretell.store.rings import LogLine


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
        failed_by: Failed attempts and lost rows by the worker's name.
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
    failed_by: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[float, np.ndarray] | None = None
    rates: Mapping[int, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost = Cost()
    problem: Problem | None = None
    every: float | None = None
