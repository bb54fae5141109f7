"""What earlier looks at a store found, and need not read or work out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from foretell.store.failure_records import FailureGroup
from foretell.store.failures import Failure
from foretell.store.follow import Follower, News
from foretell.store.objects import Version

from foretell_tui import derive
from foretell_tui.reading import Sample


@dataclass(slots=True)
class Made:
    """Something worked out from the table, and what it took."""

    key: Any
    segment: int
    at: float
    took: float
    value: Any


@dataclass(slots=True)
class Known:
    """What earlier looks found, and need not read again."""

    codes: np.ndarray | None = None
    changed: np.ndarray | None = None
    samples: tuple[Sample, ...] = ()
    samples_version: Version | None = None
    groups: tuple[FailureGroup, ...] = ()
    failures: list[Failure] = field(default_factory=list)
    failed_by: Mapping[str, int] = field(default_factory=dict)
    failure_segment: int = 0
    failures_at: int = -1
    curve: tuple[float, np.ndarray] | None = None
    recent: derive.Recent | None = None
    rates: Mapping[int, float] = field(default_factory=dict)
    order: tuple[str, np.ndarray | None] = ("linear", None)
    made: dict[str, Made] = field(default_factory=dict)
    turn: int = 0
    settled: bool = False

    def keep_curve(self, follower: Follower, news: News) -> None:
        """Rows finished in each second of this session."""
        since = follower.head.session_started if follower.head is not None else 0.0
        if self.curve is None or news.whole or self.curve[0] != since:
            self.curve = (since, derive.curve_of(follower.table, follower.plan, since))
            return
        curve = self.curve[1]
        for done in news.done:
            ends = (done.started + done.milliseconds) / 1000.0
            curve = derive.add_to_curve(curve, follower.plan, done.chunks, ends, since)
        self.curve = (since, curve)

    def keep_rates(self, follower: Follower, news: News) -> None:
        """Chunks a second of every worker."""
        if self.recent is None or news.whole:
            self.recent = derive.recent_of(follower.table)
        else:
            self.recent = derive.add_recent(self.recent, news.done)
        self.rates = derive.worker_rates(self.recent)
