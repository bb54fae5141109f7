"""What observers are told: frozen, documented, and the same after a round trip through JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeVar

EventT = TypeVar("EventT", bound="Event")


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.

    Attributes:
        run: Path or URL of the run store.
        time: Seconds since the epoch, on the driver's clock.
    """

    name: ClassVar[str] = "event"

    run: str
    time: float

    def to_json(self) -> str:
        """One line of JSON with the event's name under ``event``."""
        return json.dumps({"event": self.name, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls: type[EventT], text: str) -> EventT:
        """The event that :meth:`to_json` wrote, of whichever kind it was."""
        data: dict[str, Any] = json.loads(text)
        kind = _KINDS[data.pop("event")]
        for item in fields(kind):
            if isinstance(data.get(item.name), list):
                data[item.name] = tuple(data[item.name])
        event = kind(**data)
        assert isinstance(event, cls)
        return event


@dataclass(frozen=True, slots=True)
class RunPlanned(Event):
    """The plan stands; nothing has been dispatched.

    Attributes:
        rows: Rows to predict.
        chunks: Chunks they are cut into.
        resumed: Chunks that an earlier session finished.
    """

    name: ClassVar[str] = "run_planned"

    rows: int
    chunks: int
    resumed: int


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """Workers are there and the first chunk is about to be dispatched.

    Attributes:
        epoch: Number of this driver session, 1 for the first.
        workers: Addresses of the worker processes.
    """

    name: ClassVar[str] = "run_started"

    epoch: int
    workers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChunkFinished(Event):
    """A chunk is durable in the ledger.

    Attributes:
        chunk: Chunk id.
        rows: Rows of the chunk.
        quarantined: Rows of it that have no prediction.
        attempt: 1 for the first.
        seconds: From the first read to the last durable byte.
        bytes: Stored bytes.
        worker: Address of the worker.
    """

    name: ClassVar[str] = "chunk_finished"

    chunk: int
    rows: int
    quarantined: int
    attempt: int
    seconds: float
    bytes: int
    worker: str


@dataclass(frozen=True, slots=True)
class ChunkFailed(Event):
    """An attempt at a chunk ended without a commit.

    Attributes:
        chunk: Chunk id.
        attempt: 1 for the first.
        kind: Cause in one word: the exception's class, ``worker-died``, ``timeout`` …
        message: One line.
        worker: Address of the worker.
        final: Whether no further attempt follows.
    """

    name: ClassVar[str] = "chunk_failed"

    chunk: int
    attempt: int
    kind: str
    message: str
    worker: str
    final: bool


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The driver is done, for whatever reason.

    Attributes:
        state: A :class:`~foretell.types.RunState`.
        exit_code: What the command exits with.
        done: Rows predicted over all sessions.
        failed: Rows without a prediction.
        seconds: Length of this session.
    """

    name: ClassVar[str] = "run_finished"

    state: str
    exit_code: int
    done: int
    failed: int
    seconds: float


_KINDS: dict[str, type[Event]] = {
    kind.name: kind for kind in (RunPlanned, RunStarted, ChunkFinished, ChunkFailed, RunFinished)
}
