"""``head.json``: the one small object that says how a run stands, replaced about once a second.

Everything a viewer needs at a glance is in it, with totals that add up exactly, so that nobody has
to list or fold anything to show progress.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from foretell.store.layout import HEAD
from foretell.store.objects import ObjectStore
from foretell.store.sealed import Broken, seal, unseal
from foretell.types import RunState

FORMAT = "foretell-head"
VERSION = 1
MAX_BYTES = 8192
"""``head.json`` stays below this, whatever people put into its texts."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over the whole run, all sessions. Chunks unless it says rows.

    ``pending + running + retrying + done + failed + quarantined + damaged == chunks`` always.
    """

    chunks: int = 0
    pending: int = 0
    running: int = 0
    retrying: int = 0
    done: int = 0
    failed: int = 0
    quarantined: int = 0
    damaged: int = 0
    rows: int = 0
    rows_done: int = 0
    rows_quarantined: int = 0
    rows_failed: int = 0
    rows_nan: int = 0
    bytes_written: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """Work of this session only; resumed chunks never enter. None where nothing is known yet.

    Attributes:
        rows_per_second: Over the last 60 s (the session, when it is younger).
        rows_per_second_10m: Over the last 10 minutes.
        chunk_p50: Median seconds of a chunk.
        chunk_p95: 95th percentile.
        eta_low: Seconds until the end, optimistic.
        eta_high: Pessimistic.
        bytes_per_second: Stored.
    """

    rows_per_second: float | None = None
    rows_per_second_10m: float | None = None
    chunk_p50: float | None = None
    chunk_p95: float | None = None
    eta_low: float | None = None
    eta_high: float | None = None
    bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """How a run stands.

    Attributes:
        state: A :class:`~foretell.types.RunState` value.
        sequence: Heartbeat: one more at every write, over all sessions.
        interval: Seconds between heartbeats: 1 local, 5 remote.
        time: Of this write, seconds since the epoch on the driver's clock.
        epoch: Number of the driver session.
        host, boot_id, pid, pid_started: Which process drives; see ``SessionStarted``.
        session_started: When this session began.
        totals: Counts over all sessions.
        session_rows: Rows this session predicted.
        resumed_chunks: Chunks earlier sessions had done when this one began.
        rates: Of this session.
        last_segment: Newest ledger segment.
        fold: Name of the newest complete fold, ``""`` for none.
        last_failure: Newest failure segment.
        last_log: Newest log segment.
        log_bytes: Its size so far, 0 once it is full: a viewer reads what was added and no more.
        failure_kinds: Failures by kind, the ten most frequent.
        unit: What a row is called.
        workers: Worker processes alive.
        walltime_ends: When the walltime ends, or None.
        message: One line on what is going on, e.g. why the run is paused.
        reason: How it ended.
        exit_code: Once ended.
    """

    state: str
    sequence: int
    interval: float
    time: float
    epoch: int
    host: str
    boot_id: str
    pid: int
    pid_started: float
    session_started: float
    totals: Totals
    session_rows: int = 0
    resumed_chunks: int = 0
    rates: Rates = field(default_factory=Rates)
    last_segment: int = 0
    fold: str = ""
    last_failure: int = 0
    last_log: int = 0
    log_bytes: int = 0
    failure_kinds: Mapping[str, int] = field(default_factory=dict)
    unit: str = "rows"
    workers: int = 0
    walltime_ends: float | None = None
    message: str = ""
    reason: str = ""
    exit_code: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def average_rate(self) -> float | None:
        """Rows a second over this whole session; None before its first row."""
        took = self.time - self.session_started
        return self.session_rows / took if took > 0 and self.session_rows else None


class HeadWriter:
    """Replaces ``head.json``; the heartbeat goes on counting where an earlier driver stopped.

    Args:
        objects: The run store.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        known = read_head(objects)
        self._sequence = known.sequence if known is not None else 0

    def write(self, head: Head) -> Head:
        """Store a head with the next sequence number; returns it as stored.

        Raises:
            Fenced: a newer driver swept what was staged.
            StorageError: the storage refused.
        """
        self._sequence += 1
        head = replace(head, sequence=self._sequence)
        self._objects.put(HEAD, encode_head(head), leased=False)
        return head


def read_head(objects: ObjectStore) -> Head | None:
    """The head of a run; None when there is none or it cannot be trusted."""
    try:
        return parse_head(objects.get(HEAD))
    except FileNotFoundError:
        return None


def encode_head(head: Head) -> bytes:
    """The bytes of ``head.json``: one sealed line, long texts cut to fit."""
    for limit in (2000, 500, 100):
        data = seal({"format": FORMAT, "version": VERSION} | asdict(_trimmed(head, limit)))
        if len(data) <= MAX_BYTES:
            return data
        head = replace(head, extra={})
    bare = replace(head, failure_kinds={}, message="", reason="", unit=head.unit[:20])
    return seal({"format": FORMAT, "version": VERSION} | asdict(bare))


def parse_head(data: bytes) -> Head | None:
    """The head in ``data``; None when a byte of it is not as it was written.

    A newer version is read as far as it has the same fields.
    """
    try:
        values, _ = unseal(data)
        if values.pop("format") != FORMAT:
            return None
        RunState(values["state"])
        head: Head = _known(Head, values)
        return replace(
            head,
            totals=_known(Totals, values["totals"]),
            rates=_known(Rates, values.get("rates", {})),
        )
    except (Broken, KeyError, TypeError, ValueError, AttributeError):
        return None


def _known(kind: type[Any], values: Mapping[str, Any]) -> Any:
    return kind(**{item.name: values[item.name] for item in fields(kind) if item.name in values})


def _trimmed(head: Head, limit: int) -> Head:
    kinds = {name[:100]: count for name, count in list(head.failure_kinds.items())[:10]}
    return replace(
        head, failure_kinds=kinds, message=head.message[:limit], reason=head.reason[:limit]
    )
