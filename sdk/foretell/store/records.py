"""The records of the ledger, as the engine makes them and the projection applies them.

A ledger is a sequence of records. Applied in order to an empty table of chunks they give the truth
about every chunk; there is no other source of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from foretell.types import ChunkState


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A driver took the run: first record of its epoch.

    Attributes:
        epoch: 1 for the first driver of a run, one more for each after it.
        host: Name of the driver's host.
        boot_id: Identifies the host's boot (and pid namespace), so that a recycled pid after a
            reboot, or in another container, is not trusted.
        pid: Process id of the driver.
        pid_started: Start time of that process, by ``foretell.store.identity.process_started``.
        time: When, seconds since the epoch.
        command: What the user typed, for ``sdk status`` (secrets removed).
    """

    epoch: int
    host: str
    boot_id: str
    pid: int
    pid_started: float
    time: float
    command: str = ""


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker process joined; later records name it by ``index``.

    Attributes:
        index: Small number, unique over all sessions of the run.
        address: Dask address.
        host: Host name.
        pid: Process id there.
        pid_started: Its start time, by ``foretell.store.identity.process_started``.
        owned: Whether the driver started it, so that the next driver may end it. False for
            workers of a cluster that was only joined.
    """

    index: int
    address: str
    host: str
    pid: int
    pid_started: float
    owned: bool = True


@dataclass(frozen=True, slots=True)
class Intent:
    """These chunks are about to be dispatched. Durable before the dispatch.

    Attributes:
        chunks: Chunk ids, ascending.
        attempt: Number of the attempt, 1 for the first of a session's life of the chunk.
        retry: Whether this takes DONE chunks out of DONE to predict their failed rows again.
        alone: Whether the chunk runs with no other chunk beside it on its worker.
    """

    chunks: tuple[int, ...]
    attempt: int
    retry: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """A chunk's objects are stored whole.

    Attributes:
        chunk: Chunk id.
        attempt: Which attempt made it.
        started: When its first read began, seconds since the epoch.
        milliseconds: From the first read to the last stored byte.
        worker: ``WorkerSeen.index``.
        quarantined: Rows without a prediction.
        nan: Rows with a NaN or an infinity in some output.
        splits: Out-of-memory splits; above 0 the chunk is promised a tolerance, not bytes.
        sizes: Bytes of each object, in the order of ``Writer.objects``.
        crcs: crc32c of each object.
    """

    chunk: int
    attempt: int
    started: float
    milliseconds: int
    worker: int
    quarantined: int
    sizes: tuple[int, ...]
    crcs: tuple[int, ...]
    nan: int = 0
    splits: int = 0


@dataclass(frozen=True, slots=True)
class ChunkFailed:
    """An attempt ended without a commit.

    Attributes:
        chunk: Chunk id.
        attempt: Which attempt.
        state: RETRYING when another attempt follows, else FAILED or QUARANTINED.
        suspect: Whether the chunk was in the model when its worker died or was killed.
        failure: Number of its record among the failures, 0 for none.
    """

    chunk: int
    attempt: int
    state: ChunkState
    suspect: bool = False
    failure: int = 0


@dataclass(frozen=True, slots=True)
class ChunkRestored:
    """A retry of DONE chunks ended before any put: their old records hold again."""

    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChunkDamaged:
    """``verify --requeue`` found these DONE chunks damaged: they are to be computed again."""

    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A driver's last record. Missing where it was killed.

    Attributes:
        state: A :class:`~foretell.types.RunState` value.
        exit_code: What the command exits with.
        time: Seconds since the epoch.
        reason: One line for people, may be empty.
    """

    state: str
    exit_code: int
    time: float
    reason: str = ""


Record: TypeAlias = (
    SessionStarted
    | WorkerSeen
    | Intent
    | ChunkDone
    | ChunkFailed
    | ChunkRestored
    | ChunkDamaged
    | SessionEnded
)
