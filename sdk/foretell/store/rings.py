"""The run's log, its metrics and its workers' last samples. Old lines make room for new ones.

Objects cannot be appended to, so a ring is a row of numbered segments: the newest is replaced at
each flush until it is full, and the oldest go.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from foretell.redact import redact_text
from foretell.store.cause import cut
from foretell.store.layout import LOG, METRICS, WORKERS, number_of, numbered_key
from foretell.store.objects import ObjectStore
from foretell.store.sealed import dumps

SEGMENT_BYTES = 256 * 1024
LOG_SEGMENTS = 64
METRICS_SEGMENTS = 16
MAX_LINE = 8 * 1024


class RingWriter:
    """Lines of JSON under one folder. For the driver only; one session, one writer.

    Args:
        objects: The run store.
        folder: Where the segments go.
        keep: Segments kept.
    """

    def __init__(self, objects: ObjectStore, folder: str, keep: int) -> None:
        self._objects = objects
        self._folder = folder
        self._keep = keep
        self._numbers = ring_segments(objects, folder)
        self._lines: list[bytes] = []
        self._size = 0
        self._flushed = 0
        self._stored = 0
        self._open = False

    @property
    def last_segment(self) -> int:
        """Number of the newest segment, 0 for none."""
        return self._numbers[-1] if self._numbers else 0

    @property
    def open_bytes(self) -> int:
        """Bytes stored in the newest segment, 0 when it is full."""
        return self._stored if self._open else 0

    def add_line(self, value: Mapping[str, Any]) -> None:
        """Add one line; stored at the next flush."""
        line = dumps(dict(value)).encode() + b"\n"
        self._lines.append(line)
        self._size += len(line)

    def flush(self) -> None:
        """Store what was added.

        Raises:
            StorageError: the storage refused; nothing is forgotten.
        """
        if len(self._lines) == self._flushed:
            return
        data = b"".join(self._lines)
        if self._open:
            self._objects.put(numbered_key(self._folder, self.last_segment), data, leased=False)
        else:
            self._begin(data)
        self._flushed, self._stored = len(self._lines), len(data)
        if self._size >= SEGMENT_BYTES:
            self._lines, self._size, self._flushed, self._open = [], 0, 0, False
            self._drop_old()

    def _begin(self, data: bytes) -> None:
        number = self.last_segment + 1
        # A fenced driver may be at it still: its segment is left alone.
        while not self._objects.create(numbered_key(self._folder, number), data):
            number += 1
        self._numbers.append(number)
        self._open = True

    def _drop_old(self) -> None:
        while len(self._numbers) > self._keep:
            self._objects.delete(numbered_key(self._folder, self._numbers.pop(0)))


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the run's log.

    Attributes:
        time: Seconds since the epoch.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        worker: Address of the worker, or ``driver``.
        message: Text from anywhere: show it through the sanitizer.
    """

    time: float
    level: str
    worker: str
    message: str


class LogWriter(RingWriter):
    """The run's log."""

    def __init__(self, objects: ObjectStore) -> None:
        super().__init__(objects, LOG, LOG_SEGMENTS)

    def add(self, when: float, level: str, worker: str, message: str) -> None:
        """Add one line; secrets are removed, long ones cut."""
        text = cut(redact_text(message), MAX_LINE)
        self.add_line({"t": round(when, 3), "l": level, "w": worker, "m": text})


class MetricsWriter(RingWriter):
    """Figures over time: whatever numbers the driver samples."""

    def __init__(self, objects: ObjectStore) -> None:
        super().__init__(objects, METRICS, METRICS_SEGMENTS)

    def add(self, sample: Mapping[str, Any]) -> None:
        """Add one sample, plain JSON."""
        self.add_line(sample)


def ring_segments(objects: ObjectStore, folder: str) -> list[int]:
    """Numbers of a ring's segments, ascending."""
    numbers = (number_of(key) for key in objects.list(folder + "/"))
    return sorted(number for number in numbers if number is not None)


def read_log(objects: ObjectStore, after: int = 0) -> Iterator[LogLine]:
    """The lines still there, oldest first; of segments after ``after`` only."""
    for line in read_ring(objects, LOG, after):
        with suppress(KeyError):
            yield LogLine(line["t"], line["l"], line["w"], line["m"])


def read_metrics(objects: ObjectStore, after: int = 0) -> Iterator[dict[str, Any]]:
    """The samples still there, oldest first; of segments after ``after`` only."""
    return read_ring(objects, METRICS, after)


def read_ring(objects: ObjectStore, folder: str, after: int = 0) -> Iterator[dict[str, Any]]:
    """Lines of a ring. A segment that goes while it is read, or a broken line, is left out."""
    for number in ring_segments(objects, folder):
        if number > after:
            yield from read_ring_segment(objects, folder, number)


def read_ring_segment(objects: ObjectStore, folder: str, number: int) -> list[dict[str, Any]]:
    """Lines of one segment, empty when it is not there."""
    try:
        data = objects.get(numbered_key(folder, number))
    except FileNotFoundError:
        return []
    lines = []
    for text in data.splitlines():
        with suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict):
                lines.append(line)
    return lines


def write_workers(
    objects: ObjectStore, samples: Sequence[Mapping[str, Any]], now: float | None = None
) -> None:
    """Replace ``workers.json`` by the last sample of each worker.

    Args:
        objects: The run store.
        samples: One for each worker, plain JSON: index, host, pid, cpu, rss, chunk in hand …
        now: Time of this write, seconds since the epoch; the clock's by default.
    """
    now = time.time() if now is None else now
    document = {"time": round(now, 3), "workers": [dict(sample) for sample in samples]}
    objects.put(WORKERS, dumps(document).encode() + b"\n", leased=False)


def read_workers(objects: ObjectStore) -> tuple[float, list[dict[str, Any]]]:
    """When ``workers.json`` was written and what it says; (0, []) when it cannot be read."""
    try:
        document = json.loads(objects.get(WORKERS))
        return float(document["time"]), list(document["workers"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0.0, []
