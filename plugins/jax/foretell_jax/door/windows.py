"""Examples cut into the windows of a step, each process taking its share."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from foretell.errors import UsageError


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of one step that are this process's.

    Attributes:
        examples: As many as the process computes in a step, filler included.
        start: Index of the first of them in the whole input.
        real: How many are no filler; they come first.
    """

    examples: list[Any]
    start: int
    real: int

    @property
    def mask(self) -> np.ndarray:
        """bool, False for filler."""
        return np.arange(len(self.examples)) < self.real

    @property
    def rows(self) -> np.ndarray:
        """int64, index of each example in the whole input; -1 for filler."""
        at = np.arange(len(self.examples), dtype=np.int64)
        return np.where(at < self.real, at + self.start, -1)


def windows(examples: Iterable[Any], local: int, members: int, member: int) -> Iterator[Window]:
    """Cut any iterable into windows of ``local * members`` rows and take one member's share.

    Args:
        examples: A list, tuple, generator, anything that can be iterated; read once, in order.
        local: Rows of a share; a short one is filled up with its first example.
        members, member: Shares of a window, and which of them.

    Raises:
        UsageError: a mapping or text was given: its items are no examples.
    """
    if isinstance(examples, Mapping | str | bytes):
        raise UsageError(
            "examples are a sequence of rows",
            facts=[("expected", "a list, tuple, generator …"), ("got", type(examples).__name__)],
        )
    stream, start, first = iter(examples), 0, member * local
    while chunk := list(itertools.islice(stream, local * members)):
        mine = chunk[first : first + local] if members > 1 else chunk
        real = len(mine)
        if real < local:
            mine += [mine[0] if mine else chunk[0]] * (local - real)
        yield Window(mine, start + first, real)
        start += local * members
