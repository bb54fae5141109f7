"""What earlier looks at a store found, and need not read or work out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from foretell.store.failure_records import FailureGroup
from foretell.store.failures import Failure
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
    failure_segment: int = 0
    failures_at: int = -1
    curve: tuple[float, np.ndarray] | None = None
    recent: derive.Recent | None = None
    rates: Mapping[int, float] = field(default_factory=dict)
    order: tuple[str, np.ndarray | None] = ("linear", None)
    made: dict[str, Made] = field(default_factory=dict)
    turn: int = 0
    settled: bool = False
