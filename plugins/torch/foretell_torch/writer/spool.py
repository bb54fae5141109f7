"""The spool of one rank: rows go in batch by batch and come to rest in files of many rows.

A thread of its own encodes and stores; at most two segments wait for it, so a slow disk slows the
model down instead of filling the memory. A file is put in place whole. Files stay few: one is
closed when it is large, or when it has been open for a second *and* for half a percent of the time
the spool has been open, so their number grows with the logarithm of a long run's time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from foretell.store.objects import ObjectStore
from foretell.types import Arrays, OutputSpec

from foretell_torch.writer.commits import Commits
from foretell_torch.writer.opened import Opened, Spares
from foretell_torch.writer.places import Rows, as_numbers
from foretell_torch.writer.record import held
from foretell_torch.writer.segment import Segment, check_like, decode, encode, joined

SPOOL = "spool"
INDEX = "index"

SECONDS = 1.0
SHARE = 0.005


def segment_key(folder: str, rank: int, number: int) -> str:
    """Key of segment ``number`` of a rank, 1-based."""
    return f"{folder}/rank-{rank:04d}/{number:012d}.safetensors"


def segment_keys(objects: ObjectStore, folder: str) -> list[str]:
    """Keys of all segments, by rank and in the order they were written."""
    return sorted(key for key in objects.list(f"{folder}/") if key.endswith(".safetensors"))


def read_segments(objects: ObjectStore, folder: str) -> Iterator[tuple[str, Segment]]:
    """Every segment with its key, by rank and in the order they were written.

    Raises:
        StoreError: one is damaged.
    """
    for key in segment_keys(objects, folder):
        yield key, decode(objects.get(key), key)


def write_segment(objects: ObjectStore, folder: str, number: int, segment: Segment) -> str:
    """Put segment ``number`` of its rank in place; its key.

    Raises:
        StoreError: another process has written one of that number.
    """
    key = segment_key(folder, segment.rank, number)
    if not objects.create(key, encode(segment)):
        raise held(objects, ("file", key))
    return key


def last_number(objects: ObjectStore, folder: str, rank: int) -> int:
    """Number of a rank's newest segment, 0 when there is none."""
    prefix = f"{folder}/rank-{rank:04d}/"
    keys = [key for key in segment_keys(objects, folder) if key.startswith(prefix)]
    return max((int(key.removeprefix(prefix).partition(".")[0]) for key in keys), default=0)


class Spool:
    """Appends to the spool of one rank. Methods are called from one thread.

    Args:
        objects: The output folder.
        folder: :data:`SPOOL`, or :data:`INDEX` where predictions lie in files of their own.
        rank: Whose.
        bytes_per_segment: Size at which a segment is closed.
        by_time: Whether time closes one too.
        commits: Takes what is a whole chunk.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        objects: ObjectStore,
        folder: str,
        rank: int,
        *,
        bytes_per_segment: int,
        by_time: bool,
        commits: Commits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._rank = rank
        self._limit = bytes_per_segment
        self._by_time = by_time
        self._commits = commits
        self._clock = clock
        self._began = clock()
        self._number = last_number(objects, folder, rank)
        self._open: Opened | None = None
        self._spares = Spares()
        self._specs: dict[int, dict[str, OutputSpec]] = {}
        self._ragged: set[int] = set()
        self._queue: queue.Queue[Opened | None] = queue.Queue(maxsize=2)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="predictions", daemon=True)
        self._thread.start()

    def add(self, loader: int, rows: Rows, arrays: Arrays) -> None:
        """Append predicted rows.

        Args:
            loader: Index of the loader.
            rows: Which.
            arrays: Outputs, ``n`` rows each; they are copied.

        Raises:
            ShapeMismatch: other outputs than those before.
            ForetellError: an earlier segment could not be stored.
        """
        target = self._target(loader)
        if not target.take(rows, arrays):
            self._check(loader, rows, arrays)
            target = self._add(target, rows, arrays)
        self._close_if_due(target)

    def add_file(self, loader: int, rows: Rows, name: str, size: int) -> None:
        """Append rows whose predictions are in the file ``name`` of ``size`` bytes, in place."""
        target = self._target(loader)
        target.add_file(rows, name, size)
        self._close_if_due(target)

    def add_gap(self, loader: int, rows: Rows) -> None:
        """Append rows whose batch has no prediction."""
        target = self._target(loader)
        target.gaps.append(rows)
        self._close_if_due(target)

    def flush(self) -> None:
        """Store everything that was added; return when it is in place.

        Raises:
            ForetellError: it could not be stored.
        """
        self._close()
        self._queue.join()
        self._raise()

    def close(self) -> None:
        """Store everything and end the thread. Raises nothing: call :meth:`flush` before."""
        if not self._thread.is_alive():
            return
        self._close(check=False)
        self._queue.put(None)
        self._thread.join()

    # --- steps ----------------------------------------------------------------------------------

    def _target(self, loader: int) -> Opened:
        if self._open is not None and self._open.loader != loader:
            self._close()
        if self._open is None:
            ragged = loader in self._ragged
            self._open = Opened(loader, self._clock(), self._limit, ragged, self._spares)
        return self._open

    def _add(self, target: Opened, rows: Rows, arrays: Arrays) -> Opened:
        """Copy a batch into segments that end where chunks do; the last of them."""
        while len(rows):
            if target.empty:
                specs = tuple(self._specs[target.loader].values())
                target.most = self._commits.until_border(target.loader, int(rows[0]), specs)
            room = target.room
            if room is None or len(rows) <= room:
                target.add(rows, arrays)
                break
            target.add(rows[:room], {name: values[:room] for name, values in arrays.items()})
            rows, arrays = rows[room:], {name: values[room:] for name, values in arrays.items()}
            self._close()
            target = self._target(target.loader)
        return target

    def _check(self, loader: int, rows: Rows, arrays: Arrays) -> None:
        """Refuse a batch of other outputs than the loader's first."""
        known = self._specs.get(loader)
        if known is not None:
            check_like(known, arrays)
            return
        found = Segment(self._rank, loader, rows, arrays)
        self._specs[loader] = {spec.name: spec for spec in found.specs()}

    def _close_if_due(self, target: Opened) -> None:
        self._raise()
        if target.bytes < self._limit and target.room != 0:
            if not self._by_time:
                return
            now = self._clock()
            if now - target.since < max(SECONDS, SHARE * (now - self._began)):
                return
        self._close()

    def _close(self, check: bool = True) -> None:
        found, self._open = self._open, None
        if found is not None:
            if found.ragged:
                self._ragged.add(found.loader)
            self._queue.put(found)
        if check:
            self._raise()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while True:
            try:
                found = self._queue.get(timeout=self._commits.interval)
            except queue.Empty:
                self._beat()
                continue
            try:
                if found is None:
                    return
                if self._failure is None:
                    self._store(found)
                    self._commits.beat()
            except BaseException as error:
                self._failure = error
            finally:
                self._queue.task_done()

    def _beat(self) -> None:
        try:
            if self._failure is None:
                self._commits.beat()
        except BaseException as error:
            self._failure = error

    def _store(self, found: Opened) -> None:
        segment = joined(self._rank, found.loader, found.batches())
        gaps = np.concatenate([as_numbers(range(0)), *map(as_numbers, found.gaps)])
        segment = replace(segment, gaps=gaps, files=tuple(found.files))
        seconds = self._clock() - found.since
        if not self._commits.take(segment, seconds):
            self._number += 1
            key = write_segment(self._objects, self._folder, self._number, segment)
            self._commits.spooled(segment, key, seconds)
        found.discard()
