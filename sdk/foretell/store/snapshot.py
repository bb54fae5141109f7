"""What a viewer sees of a run: manifest, head and table, kept up to date without listing."""

from __future__ import annotations

from contextlib import suppress

from foretell.plan import Plan
from foretell.store.failure_records import read_failures
from foretell.store.fold import DamagedFold, read_fold
from foretell.store.head import Head, parse_head
from foretell.store.layout import HEAD
from foretell.store.manifest import Manifest, read_manifest
from foretell.store.objects import ObjectStore, Version
from foretell.store.projection import Projection, load
from foretell.store.table import ChunkTable
from foretell.types import RunState


class Snapshot:
    """A run at one moment; :meth:`refresh` moves on to the next.

    Attributes:
        objects: The run store.
        manifest: What the run is.
        plan: Its plan.
        head: The last head that could be read, None before the first.
    """

    def __init__(self, objects: ObjectStore, manifest: Manifest) -> None:
        self.objects = objects
        self.manifest = manifest
        self.plan = Plan.from_json(manifest.plan)
        self.head: Head | None = None
        self._head_version: Version | None = None
        self._read_head()
        self._projection = self._open()

    @property
    def table(self) -> ChunkTable:
        """Every chunk, as the ledger has it."""
        return self._projection.table

    @property
    def last_segment(self) -> int:
        """Newest segment taken into account."""
        return self._projection.last_segment

    @property
    def projection(self) -> Projection:
        """The ledger as read; :func:`foretell.store.takeover.claim` can go on from it."""
        return self._projection

    @property
    def state(self) -> RunState:
        """How the run stands. That it ended is believed only when the ledger says so."""
        ended = self.table.ended
        if ended is not None:
            return RunState(ended.state)
        if not self.table.sessions:
            return RunState.PLANNED
        if self.head is None or self.head.epoch != self.table.epoch:
            return RunState.STARTING
        state = RunState(self.head.state)
        return RunState.DRAINING if state.ended else state

    @property
    def exit_code(self) -> int | None:
        """What the last session exited with, None while it lasts or when it was killed."""
        ended = self.table.ended
        return None if ended is None else ended.exit_code

    def refresh(self) -> bool:
        """Take into account what happened since; whether anything did.

        Reads the head if it changed, then only the segments that are new.

        Raises:
            DamagedLedger: a new segment cannot be trusted.
        """
        changed = self._read_head()
        until = self.head.last_segment if self.head is not None else 0
        try:
            return self._projection.read_on(self.objects, until) > 0 or changed
        except FileNotFoundError:
            # Compacted while we were behind: the newest fold has it.
            self._projection = self._open()
            return True

    def chunks_of_kind(self, kind: str) -> set[int]:
        """Chunks that some failure of that kind is about, whatever became of them since."""
        return {
            chunk
            for failure in read_failures(self.objects)
            if failure.kind == kind
            for chunk in failure.chunks
        }

    def _read_head(self) -> bool:
        try:
            found = self.objects.get_if_changed(HEAD, self._head_version)
        except FileNotFoundError:
            return False
        if found is None:
            return False
        data, self._head_version = found
        head = parse_head(data)
        if head is None or (self.head is not None and head.epoch < self.head.epoch):
            return False  # torn, or the last word of a driver that was fenced
        self.head = head
        return True

    def _open(self) -> Projection:
        n_chunks = self.plan.n_chunks
        if self.head is None:
            return load(self.objects, n_chunks)
        projection = Projection(n_chunks)
        with suppress(DamagedFold, FileNotFoundError):
            if self.head.fold:
                projection.adopt(read_fold(self.objects, self.head.fold, n_chunks))
        try:
            projection.read_on(self.objects, self.head.last_segment)
        except FileNotFoundError:
            return load(self.objects, n_chunks, self.head.last_segment)
        return projection


def open_snapshot(objects: ObjectStore) -> Snapshot:
    """The run below ``objects`` as it stands.

    Raises:
        NotARun: there is no manifest.
        StoreError: the manifest or the ledger cannot be trusted.
    """
    return Snapshot(objects, read_manifest(objects))
