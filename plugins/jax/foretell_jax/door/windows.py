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
        rows: int64, index of each example in the whole input; -1 for filler.
        mask: bool, False for filler.
    """

    examples: list[Any]
    rows: np.ndarray
    mask: np.ndarray

    @property
    def real(self) -> int:
        """Rows that are no filler; they come first."""
        return int(self.mask.sum())


def windows(
    examples: Iterable[Any], local: int, members: int, member: int, size: int | None = None
) -> Iterator[Window]:
    """Cut any iterable into windows of ``local * members`` rows and take one member's share.

    Args:
        examples: A list, tuple, generator, anything that can be iterated; read once, in order.
        local: Rows of a share.
        members, member: Shares of a window, and which of them.
        size: Rows to pad a share to; ``local`` when None.

    Raises:
        UsageError: a mapping or text was given: its items are no examples.
    """
    if isinstance(examples, Mapping | str | bytes):
        raise UsageError(
            "examples are a sequence of rows",
            facts=[("expected", "a list, tuple, generator …"), ("got", type(examples).__name__)],
        )
    stream, start = iter(examples), 0
    while chunk := list(itertools.islice(stream, local * members)):
        first = member * local
        mine = chunk[first : first + local]
        yield _window(mine, start + first, chunk[0], size or local)
        start += len(chunk)


def _window(mine: list[Any], start: int, filler: Any, size: int) -> Window:
    rows = np.full(size, -1, np.int64)
    rows[: len(mine)] = np.arange(start, start + len(mine))
    padding = [mine[0] if mine else filler] * (size - len(mine))
    return Window([*mine, *padding], rows, rows >= 0)
