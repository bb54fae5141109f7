"""What driver and workers tell each other: plain data, small, picklable without user code."""

from __future__ import annotations

import operator
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from foretell.types import RowError, ServiceSpec

Message = TypeVar("Message")

MAX_TRACEBACK = 16_000
MAX_MESSAGE = 500
MAX_LOCATED_ROWS = 64


def by_position(cls: type[Message]) -> type[Message]:
    """Have a dataclass pickled as its values in order.

    With slots Python looks every field up by name on both sides, which took more of the driver's
    time than anything else when a task carries thousands of chunks.
    """
    values = operator.attrgetter(*(item.name for item in fields(cls)))  # type: ignore[arg-type]

    def reduce(self: Message) -> tuple[type[Message], tuple[Any, ...]]:
        return cls, values(self)

    cls.__reduce__ = reduce  # type: ignore[method-assign, assignment]
    return cls


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """All a worker process needs to build its parts. Sent once to each process.

    Attributes:
        run: Name of the run in the process's registry.
        url: The run store.
        base_dir: Where relative paths and import strings are looked up.
        sections: ``source``, ``predictor``, ``deployer``, ``writer``: options as plain data.
        plan: The plan as plain data; None while probing.
        epoch: Driver session, part of the label of staged files.
        workers: Worker processes of the run.
        batch_size, slots, threads: As planned, or proposed while probing.
        power: Whether puts are synced.
        on_nan: The NaN policy.
        max_failed: Rows the run may lose.
        live: Live objects, pickled by value; None when there are none, or when they wait in the
            registry of this very process.
        board: Folder for the process's board file.
        settings: Environment that must be equal everywhere, e.g. disabled plugins.
        services: What the deployer declared.
        service_memory: Bytes of services one worker may hold, or None.
    """

    run: str
    url: str
    base_dir: str
    sections: Mapping[str, Mapping[str, Any]]
    plan: Mapping[str, Any] | None
    epoch: int
    workers: int
    batch_size: int
    slots: int
    threads: int
    seed: int
    row_offset: int = 0
    power: bool = False
    on_nan: str = "warn"
    max_failed: int = 0
    live: bytes | None = None
    board: str = ""
    local: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    services: tuple[ServiceSpec, ...] = ()
    service_memory: int | None = None


@by_position
@dataclass(frozen=True, slots=True)
class ChunkWork:
    """One chunk to compute.

    Attributes:
        chunk: Chunk id.
        attempt: Number of this attempt.
        turn: Number of the chunk on its seat: a group's members take their chunks in this order.
        retry: Predict only the rows without a prediction, keep the others.
        sizes, crcs: For a retry, the recorded objects, checked before they are trusted.
    """

    chunk: int
    attempt: int
    turn: int = 0
    retry: bool = False
    sizes: tuple[int, ...] = ()
    crcs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error as data.

    Attributes:
        kind: Class name of the exception, or our own word for a cause.
        message: One line, shortened.
        traceback: Shortened text, may be empty.
        slug: Of our own errors, e.g. ``storage-full``.
        rows: Rows concerned, with locators, as far as they are listed.
        total: How many rows are concerned.
        facts: Of our own errors.
    """

    kind: str
    message: str
    traceback: str = ""
    slug: str = ""
    rows: tuple[RowError, ...] = ()
    total: int = 0
    facts: tuple[tuple[str, str], ...] = ()
    tries: tuple[tuple[str, str], ...] = ()


@by_position
@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What became of one attempt at one chunk.

    Attributes:
        chunk, attempt: Which.
        started: Seconds since the epoch, on the worker's clock.
        milliseconds: First read to last stored byte.
        ok: Whether the chunk is stored whole.
        quarantined, nan, splits: See ``ChunkDone``.
        sizes, crcs: The receipt.
        part: Which part of a group's chunk this is, None for the whole.
        troubles: Failed rows, grouped by cause; or, when not ``ok``, the one cause.
        touched: Whether anything was put before it failed.
    """

    chunk: int
    attempt: int
    started: float
    milliseconds: int
    ok: bool
    quarantined: int = 0
    nan: int = 0
    splits: int = 0
    sizes: tuple[int, ...] = ()
    crcs: tuple[int, ...] = ()
    part: int | None = None
    troubles: tuple[Trouble, ...] = ()
    touched: bool = True


def trouble(
    error: BaseException, rows: tuple[RowError, ...] = (), total: int = 0, kind: str | None = None
) -> Trouble:
    """An exception as data, shortened to what a failure record may hold."""
    message = str(getattr(error, "message", "") or error) or type(error).__name__
    text = "".join(traceback.format_exception(error))
    if len(text) > MAX_TRACEBACK:
        text = text[: MAX_TRACEBACK // 2] + "\n  ...\n" + text[-MAX_TRACEBACK // 2 :]
    return Trouble(
        kind=kind or type(error).__name__,
        message=message.strip()[:MAX_MESSAGE],
        traceback=text,
        slug=str(getattr(error, "slug", "")),
        rows=rows[:MAX_LOCATED_ROWS],
        total=total,
        facts=tuple(getattr(error, "facts", ())),
        tries=tuple(getattr(error, "tries", ())),
    )
