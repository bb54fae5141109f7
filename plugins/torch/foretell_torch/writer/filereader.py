"""Rows out of files of ``torch.save``, found through the index beside them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
from foretell.errors import StoreError
from foretell.store.objects import ObjectStore
from foretell.types import Arrays

from foretell_torch.writer import ptfiles
from foretell_torch.writer.flatten import flatten
from foretell_torch.writer.gather import Gatherer
from foretell_torch.writer.record import Record
from foretell_torch.writer.segment import Segment
from foretell_torch.writer.spool import INDEX, read_segments

_FILES_KEPT = 16


class FileGatherer(Gatherer):
    """A gatherer whose segments are files of predictions.

    Args:
        folder: The output folder.
        objects: The same.
        record: What it is.
    """

    def __init__(self, folder: Path, objects: ObjectStore, record: Record) -> None:
        self._folder = folder
        self._files: OrderedDict[str, Arrays] = OrderedDict()
        self._names: list[tuple[str, int]] = []
        self._outputs: dict[int, tuple[str, ...]] = {}
        super().__init__(objects, INDEX, record)

    def _read_all(self) -> None:
        for key, segment in read_segments(self._objects, INDEX):
            start = 0
            for name, count in segment.files:
                rows = segment.rows[start : start + count]
                start += count
                arrays = self._arrays(name, count, segment.loader)
                self._names.append((name, count))
                self._take(key, Segment(segment.rank, segment.loader, rows, arrays))
            if len(segment.gaps):
                none = np.zeros(0, np.int64)
                self._names.append(("", 0))
                self._take(key, Segment(segment.rank, segment.loader, none, {}, gaps=segment.gaps))

    def _load(self, at: int) -> Segment:
        name, count = self._names[at]
        loader, part = self._parts[at]
        return Segment(part.rank, loader, part.rows, self._arrays(name, count, loader))

    def _arrays(self, name: str, count: int, loader: int) -> Arrays:
        if name in self._files:
            self._files.move_to_end(name)
            return self._files[name]
        if count == 0:
            return {}
        prediction = ptfiles.load(self._folder, name)
        arrays = flatten(prediction, count, name, known=self._outputs.get(loader, ()))
        self._outputs.setdefault(loader, tuple(arrays))
        if any(len(values) != count for values in arrays.values()):
            raise StoreError(
                "a file of predictions has another number of rows than its index says",
                facts=[("file", name), ("expected", f"{count} rows")],
                slug="store-damaged",
            )
        self._files[name] = arrays
        if len(self._files) > _FILES_KEPT:
            self._files.popitem(last=False)
        return arrays
