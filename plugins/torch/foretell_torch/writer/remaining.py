"""Loaders without the rows that are stored already."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from foretell.errors import ConfigError
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, get_worker_info


class RemainingRows(Dataset):  # type: ignore[misc]  # PyTorch ships no types here
    """Some rows of a map-style dataset.

    Args:
        dataset: The whole.
        rows: int64: which rows, ascending.
    """

    def __init__(self, dataset: Any, rows: np.ndarray) -> None:
        self.dataset = dataset
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.rows[index])]

    @property
    def __getitems__(self) -> Callable[[Sequence[int]], Any] | None:
        """How several rows are fetched at once; None where the dataset cannot, as PyTorch asks."""
        fetch = getattr(self.dataset, "__getitems__", None)
        return None if fetch is None else lambda at: fetch(self.rows[list(at)].tolist())


class SkippedRows(IterableDataset):  # type: ignore[misc]  # PyTorch ships no types here
    """An iterable dataset without its first rows; each rank leaves out as many as it has stored.

    Args:
        dataset: The whole.
        skip: Rows to leave out, by rank.
    """

    def __init__(self, dataset: Any, skip: Mapping[int, int]) -> None:
        self.dataset = dataset
        self.skip = dict(skip)

    def first(self) -> int:
        """Number of the first row this rank gives."""
        return self.skip.get(_rank(), 0)

    def __iter__(self) -> Iterator[Any]:
        if get_worker_info() is not None:
            raise RuntimeError("rows of an iterable dataset can only be left out in one process")
        return itertools.islice(iter(self.dataset), self.first(), None)


def without_rows(loader: Any, rows: np.ndarray) -> Any:
    """A loader of only these rows, in ascending order, otherwise like ``loader``.

    Raises:
        ConfigError: the loader has a batch sampler of its own, which nobody can cut.
    """
    if type(loader.batch_sampler) is not BatchSampler:
        raise ConfigError(
            "a loader with a batch sampler of its own cannot be cut",
            facts=[("batch sampler", type(loader.batch_sampler).__qualname__)],
            tries=[("writer.remaining_rows(len(dataset))", "and a loader of your own over these")],
            slug="remaining",
        )
    return DataLoader(
        RemainingRows(loader.dataset, rows),
        batch_size=loader.batch_size,
        **_like(loader),
    )


def without_first(loader: Any, skip: Mapping[int, int]) -> Any:
    """A loader of an iterable dataset without the first rows of each rank.

    Raises:
        ConfigError: it reads in other processes, where rows have no order of their own, or makes
            no batches itself.
    """
    if loader.num_workers or loader.batch_size is None:
        what = "num_workers" if loader.num_workers else "batch_size"
        raise ConfigError(
            "the first rows of this iterable dataset cannot be left out",
            facts=[(what, str(getattr(loader, what)))],
            tries=[("the loader itself", "stored rows are computed again, but not written again")],
            slug="remaining",
        )
    return DataLoader(
        SkippedRows(loader.dataset, skip),
        batch_size=loader.batch_size,
        drop_last=loader.drop_last,
        **_like(loader),
    )


def at_least(rows: np.ndarray, n: int) -> np.ndarray:
    """Ascending rows with the lowest others added, so that there are ``n``."""
    if len(rows) >= n:
        return rows
    others = np.setdiff1d(np.arange(n, dtype=np.int64), rows)
    return np.sort(np.concatenate([rows, others[: n - len(rows)]]))


def world_size() -> int:
    """Processes of this run, as launchers announce them; 1 where none does."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def _like(loader: Any) -> dict[str, Any]:
    """The settings of a loader that do not choose rows."""
    same = {
        name: getattr(loader, name)
        for name in ("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn")
    }
    if loader.num_workers:
        same |= {
            name: getattr(loader, name)
            for name in ("prefetch_factor", "persistent_workers", "multiprocessing_context")
        }
    return same


def _rank() -> int:
    """Rank of this process: of its process group, or as launchers announce it."""
    import torch.distributed as group

    if group.is_available() and group.is_initialized():
        return int(group.get_rank())
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)
