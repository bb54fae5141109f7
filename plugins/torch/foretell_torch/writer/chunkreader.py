"""Rows out of the spool, and out of the chunks that are in a run store already."""

from __future__ import annotations

from foretell.store.objects import ObjectStore
from foretell.types import Chunk

from foretell_torch.writer.gather import Gatherer
from foretell_torch.writer.record import Record
from foretell_torch.writer.runstore import Committed, committed
from foretell_torch.writer.segment import Segment
from foretell_torch.writer.spool import SPOOL


class ChunkGatherer(Gatherer):
    """A gatherer for which a committed chunk is one segment more.

    Args:
        objects: The output folder.
        record: What it is.

    Attributes:
        stores: What the stores of loaders hold, where there is one.

    Raises:
        StoreError: what is stored is damaged.
    """

    def __init__(self, objects: ObjectStore, record: Record) -> None:
        self.stores: dict[int, Committed] = {}
        self._chunks: dict[int, tuple[int, Chunk]] = {}
        super().__init__(objects, SPOOL, record)

    def _read_all(self) -> None:
        super()._read_all()
        for loader, store in committed(self._objects, self._record):
            self.stores[loader] = store
            for chunk in store.chunks:
                self._chunks[len(self.parts)] = loader, chunk
                rows = range(chunk.start, chunk.stop)
                self._note(0, loader, store.outputs, store.padded, rows, range(0))

    def _load(self, at: int) -> Segment:
        if at not in self._chunks:
            return super()._load(at)
        loader, chunk = self._chunks[at]
        return self.stores[loader].segment(loader, chunk)
