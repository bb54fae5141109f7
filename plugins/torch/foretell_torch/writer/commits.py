"""Chunks that are committed while the Trainer predicts, so that its run store grows with it.

One process that predicts rows in order writes each chunk where it belongs once its last row is
there. A chunk that fills before it is time to close a segment is written once and never spooled; of
a slower one the rows wait in the spool, and leave it then. Whatever comes otherwise stays in the
spool, and goes into the same store at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from foretell.errors import FingerprintMismatch, HeldError
from foretell.plan import Plan
from foretell.store.assemble import Assembly
from foretell.store.objects import ObjectStore
from foretell.types import Chunk, OutputSpec, Valid

from foretell_torch.writer.places import as_range
from foretell_torch.writer.record import Record, held
from foretell_torch.writer.runstore import open_assembly, plan_of
from foretell_torch.writer.segment import Segment, decode, joined

_OF_OBJECTS = ("str", "json")


class Commits:
    """The run stores of one Trainer, as far as they can be made on the way.

    :meth:`until_border` is asked by the thread that predicts; the rest is called by one thread at a
    time.

    Args:
        objects: The output folder.
        record: What it is.
        loaders: Those whose chunks may come whole; the others are made at the end.
        compression: zstd level of the stores, 0 for a checksum only.
        say: Told what is being waited for.

    Attributes:
        cancelled: Whether ``sdk cancel`` asked for an end.
        interrupted: Whether whoever makes a store is to end at the next chunk.
    """

    def __init__(
        self,
        objects: ObjectStore,
        record: Record,
        loaders: Collection[int],
        compression: int,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._objects = objects
        self._record = record
        self._loaders = set(loaders)
        self._compression = compression
        self._say = say
        self.cancelled = self.interrupted = False
        self._plans: dict[int, Plan] = {}
        self._assemblies: dict[int, Assembly] = {}
        self._begun: dict[int, _Begun] = {}

    def until_border(self, loader: int, row: int, specs: Sequence[OutputSpec]) -> int | None:
        """How many rows from ``row`` on belong to one chunk; None where chunks do not matter.

        Args:
            loader: Index of the loader.
            row: The first row of a segment.
            specs: Outputs of the loader.
        """
        if loader not in self._loaders:
            return None
        plan = self._plans.get(loader)
        if plan is None:
            n_rows = self._record.loaders[loader].rows
            if n_rows is None or any(spec.dtype in _OF_OBJECTS for spec in specs):
                self._loaders.discard(loader)
                return None
            plan = self._plans[loader] = plan_of(self._record, loader, n_rows, specs)
        return plan.chunk(row // plan.chunk_rows).stop - row

    def take(self, segment: Segment, seconds: float) -> bool:
        """Commit the chunk that a segment makes whole; False for one that belongs in the spool.

        Args:
            segment: The rows.
            seconds: Since the first of them came.

        Raises:
            StoreError: another process makes this store, or a segment in the spool is damaged.
            StorageError: it could not be stored.
        """
        chunk = self._chunk(segment)
        if chunk is None:
            return False
        begun = self._begun_at(segment, chunk)
        if (begun.rows.start if begun else segment.rows[0]) != chunk.start:
            return False
        # Opened with its first chunk begun, so that whoever looks for it finds it early.
        assembly = self._opened(segment.loader)
        whole = segment.rows[-1] + 1 == chunk.stop
        if assembly is None or not whole or assembly.is_done(chunk.id):
            return False
        if begun:
            before = [decode(self._objects.get(key), key) for key in begun.keys]
            batches = [(each.rows, each.arrays) for each in (*before, segment)]
            segment, seconds = joined(0, segment.loader, batches), seconds + begun.seconds
        valid = np.full(len(chunk), Valid.PREDICTED, np.uint8)
        assembly.add(chunk, segment.arrays, valid, seconds)
        if begun:
            assembly.record()
            for key in begun.keys:
                self._objects.delete(key)
        return True

    def spooled(self, segment: Segment, key: str, seconds: float) -> None:
        """Note that a segment that was not taken lies in the spool: its chunk may become whole.

        Args:
            segment: The rows.
            key: Its file.
            seconds: Since the first of them came.
        """
        chunk = self._chunk(segment)
        if chunk is None:
            self._begun.pop(segment.loader, None)
            return
        rows = range(int(segment.rows[0]), int(segment.rows[-1]) + 1)
        begun = self._begun_at(segment, chunk)
        if begun:
            begun.rows = range(begun.rows.start, rows.stop)
            begun.keys.append(key)
            begun.seconds += seconds
        else:
            self._begun[segment.loader] = _Begun(rows, [key], seconds)

    def assembly(self, loader: int, plan: Plan) -> Assembly:
        """The store of a loader, opened when it is not.

        Raises:
            FingerprintMismatch: the store that is there has another plan.
            StoreError: another process makes it.
        """
        found = self._assemblies.get(loader)
        if found is None:
            try:
                found = open_assembly(
                    self._objects, self._record, loader, plan, self._compression, self._say
                )
            except HeldError as error:
                raise held(self._objects, *error.facts) from error
            self._assemblies[loader] = found
        return found

    @property
    def interval(self) -> float | None:
        """Seconds after which :meth:`beat` is due; None while no store is open."""
        return min((each.interval for each in self._assemblies.values()), default=None)

    def record(self) -> None:
        """Make durable which chunks are committed."""
        for assembly in self._assemblies.values():
            if assembly.ended is None:
                assembly.record()

    def beat(self) -> None:
        """Record what is stored, and show that somebody is at work. Cheap when it is not due."""
        for assembly in self._assemblies.values():
            assembly.beat()
            self.cancelled |= assembly.cancelled

    def interrupt(self) -> None:
        """Ask another thread that makes a store to end."""
        self.interrupted = True

    def close(self, loader: int | None = None) -> None:
        """Let go of one store or of all; those that lack rows say so. Never raises."""
        for which in list(self._assemblies) if loader is None else [loader]:
            assembly = self._assemblies.pop(which, None)
            if assembly is not None:
                with suppress(Exception):
                    assembly.stop("rows are missing: predict again to add them")
                assembly.close()

    # --- steps ----------------------------------------------------------------------------------

    def _chunk(self, segment: Segment) -> Chunk | None:
        """The chunk a segment's rows belong to; None where they are not fit to be committed."""
        loader = segment.loader
        if loader not in self._loaders or len(segment.gaps) or segment.files:
            return None
        plan, rows = self._plans[loader], as_range(segment.rows)
        in_order = isinstance(rows, range) and rows.step == 1
        if not in_order or segment.lengths or tuple(segment.specs()) != plan.outputs:
            # The next will hardly be whole either, or the store would have to be made again.
            self._loaders.discard(loader)
            return None
        return plan.chunk(int(segment.rows[0]) // plan.chunk_rows)

    def _opened(self, loader: int) -> Assembly | None:
        try:
            return self.assembly(loader, self._plans[loader])
        except FingerprintMismatch:
            # Begun for rows of another shape: it is made again at the end.
            self._loaders.discard(loader)
            return None

    def _begun_at(self, segment: Segment, chunk: Chunk) -> _Begun | None:
        """What lies in the spool of a chunk, up to the segment's first row."""
        begun = self._begun.get(segment.loader)
        fits = begun and begun.rows.start >= chunk.start and begun.rows.stop == segment.rows[0]
        return begun if fits else None


@dataclass(slots=True)
class _Begun:
    """Consecutive rows of one chunk that lie in the spool.

    Attributes:
        rows: Which.
        keys: Their files, in order.
        seconds: What predicting them took.
    """

    rows: range
    keys: list[str]
    seconds: float
