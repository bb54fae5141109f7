"""Processes that read and decode rows of a dataset, each with a dataset of its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from foretell.text import clip

Failure = tuple[int, str, str]
"""Row, kind and message of a row that cannot be read."""

_PARTS = 4
"""Parts of a range for each process, so that a slow row does not keep the others waiting."""

_data: Any = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a process builds the dataset.

    Attributes:
        dataset: Import string.
        base_dir: Where it is looked up first.
        options: Keyword arguments.
        make: Import string of what turns object, options and extra into the dataset.
        extra: Further plain values for it.
    """

    dataset: str
    base_dir: str
    options: Mapping[str, Any]
    make: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """The dataset."""
        from foretell_torch.source import built

        return built(self)


class Decoders:
    """A pool of processes. Threads may share it.

    Args:
        recipe: How each builds the dataset.
        processes: How many.
    """

    def __init__(self, recipe: Recipe, processes: int) -> None:
        self._processes = processes
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(recipe, os.getpid()),
        )

    def read(self, start: int, stop: int) -> tuple[list[Any], list[Failure]]:
        """Rows ``start`` to ``stop`` in order, and those that cannot be read."""
        step = max(1, -(-(stop - start) // (self._processes * _PARTS)))
        ranges = [range(at, min(at + step, stop)) for at in range(start, stop, step)]
        items: list[Any] = []
        errors: list[Failure] = []
        for some, failed in self._pool.map(_read, ranges):
            items += some
            errors += failed
        return items, errors

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def read_items(data: Any, rows: Iterable[int]) -> tuple[list[Any], list[Failure]]:
    """Items of a dataset with their tensors as arrays; None in the place of one that fails.

    Raises:
        MemoryError: as it is, for it is not the row's fault.
    """
    items: list[Any] = []
    errors: list[Failure] = []
    for row in rows:
        try:
            items.append(_plain(data[row]))
        except MemoryError:
            raise
        except Exception as error:
            items.append(None)
            text = " ".join(clip(str(error), 200).split())
            errors.append((row, type(error).__name__, text or type(error).__name__))
    return items, errors


def _plain(item: Any) -> Any:
    """An item that belongs to whoever asked for it: containers made anew, arrays copied."""
    if hasattr(item, "detach"):
        return item.detach().cpu().numpy().copy()
    if hasattr(item, "shape") and hasattr(item, "copy"):
        return item.copy()
    if isinstance(item, tuple) and not hasattr(item, "_fields"):
        return tuple(_plain(value) for value in item)
    if isinstance(item, list):
        return [_plain(value) for value in item]
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items()}
    return item


def _start(recipe: Recipe, parent: int) -> None:
    global _data
    threading.Thread(target=_end_with, args=(parent,), name="end-with-parent", daemon=True).start()
    _data = recipe.build()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: nobody else would."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _read(rows: range) -> tuple[list[Any], list[Failure]]:
    return read_items(_data, rows)
