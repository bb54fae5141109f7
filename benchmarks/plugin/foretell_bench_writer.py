"""A writer that stores nothing, for measuring what everything else costs."""

from __future__ import annotations

import numpy as np
from foretell.abc.options import WriterOptions
from foretell.abc.writer import Writer
from foretell.types import Receipt
from pydantic import Field


class NothingOptions(WriterOptions):
    kind: str = Field(default="nothing", description="nothing")


class NothingWriter(Writer):
    """Receipts as dense as those of one output and ``valid``, and no object."""

    Options = NothingOptions

    def check(self, plan):
        """Everything can be not stored."""

    def create(self, plan):
        self._plan = plan

    def open(self, plan):
        self._plan = plan

    def objects(self, chunk, part=None):
        return [f"y/{chunk.id}", f"valid/{chunk.id}"]

    def leftovers(self, chunk):
        return []

    def write(self, chunk, arrays, valid, part=None):
        mixed = chunk.id * 2654435761 % 2**32
        return Receipt((400 + mixed % 64, 40 + mixed % 8), (mixed, mixed ^ 0x5BD1E995))

    def read(self, chunk, names=None):
        zeros = {spec.name: np.zeros(len(chunk), spec.dtype) for spec in self._plan.outputs}
        return zeros, np.ones(len(chunk), np.uint8)

    def finalize(self, complete, valid):
        """Nothing to finish."""
