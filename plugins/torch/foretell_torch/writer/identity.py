"""Which row is which: the index in the dataset where a loader has one, else what a rank counts."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import BatchSampler, SequentialSampler, default_collate

from foretell_torch import frameworks
from foretell_torch.writer.places import Rows
from foretell_torch.writer.record import LoaderRecord
from foretell_torch.writer.remaining import RemainingRows, SkippedRows

_SAMPLES = 1024


class Identity:
    """Tells the rows of each batch of one loader.

    Args:
        loader: As the Trainer prepared it.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._dataset: Any = getattr(loader, "dataset", None)
        self._index = self._rows_by_index()
        self._in_order = self._samples_in_order()
        self._count = self._dataset.first() if isinstance(self._dataset, SkippedRows) else 0
        # Whether lists in a batch hold a part of all rows each, as PyTorch's own collating has it.
        own = getattr(loader, "collate_fn", None) is not default_collate
        self._parts: bool | None = None if own else True

    @property
    def counted(self) -> bool:
        """Whether rows have no index and are counted by each rank."""
        return not self._index

    @property
    def resumed(self) -> bool:
        """Whether the loader is one of ``PredictionWriter.remaining``."""
        return isinstance(self._dataset, RemainingRows | SkippedRows)

    def record(self) -> LoaderRecord:
        """What the folder's record says of this loader."""
        dataset = self._dataset
        if isinstance(dataset, RemainingRows | SkippedRows):
            dataset = dataset.dataset
        name = type(dataset if dataset is not None else self._loader).__qualname__
        if self.counted:
            return LoaderRecord("count", None, name)
        return LoaderRecord("index", len(dataset), name)

    def rows(self, batch_idx: int, n_rows: int | None) -> Rows | None:
        """The rows of a batch. Called once for each batch, in order.

        Args:
            batch_idx: Number of the batch on this rank.
            n_rows: Its rows, where they are counted; None when nobody knows.

        Returns:
            None for a counted batch whose number of rows nobody knows.
        """
        if self._index:
            seen: list[Sequence[int]] = self._loader.batch_sampler.seen_batch_indices
            found = self._dataset_rows(seen[batch_idx])
            if batch_idx:
                # The Trainer would keep them for ever; of this batch other callbacks may want them.
                seen[batch_idx - 1] = ()
            return found
        if n_rows is None:
            return None
        start, self._count = self._count, self._count + n_rows
        return range(start, start + n_rows)

    def learn(self, batch: Any) -> None:
        """Look at the first batch of a counted loader, which is full if any is."""
        size = getattr(self._loader, "batch_size", None)
        as_parts, as_rows = rows_in(batch, True), rows_in(batch, False)
        if self._parts is None and as_parts != as_rows and size in (as_parts, as_rows):
            self._parts = as_parts == size

    def told(self, batch: Any) -> int | None:
        """Rows of a counted batch, by what the loader gave; None where it could be read otherwise.

        A guess would give every later row of the rank another number.
        """
        as_parts, as_rows = rows_in(batch, True), rows_in(batch, False)
        if self._parts is None:
            return as_parts if as_parts == as_rows else None
        return as_parts if self._parts else as_rows

    def _dataset_rows(self, seen: Sequence[int]) -> Rows:
        found: Rows
        if self._in_order and len(seen):
            # The indices of a sampler in order follow from the first: no need to read them all.
            found = range(seen[0], seen[0] + len(seen))
        else:
            found = np.asarray(seen, dtype=np.int64)
        if isinstance(self._dataset, RemainingRows):
            rows: np.ndarray = self._dataset.rows
            return rows[found.start : found.stop] if isinstance(found, range) else rows[found]
        return found

    def _samples_in_order(self) -> bool:
        """Whether PyTorch's own samplers give every index once, in ascending order."""
        wrapper = getattr(self._loader, "batch_sampler", None)
        batches: Any = getattr(wrapper, "_batch_sampler", None)
        return type(batches) is BatchSampler and type(batches.sampler) is SequentialSampler

    def _rows_by_index(self) -> bool:
        # Lightning puts this around the batch sampler of a map-style loader, to note the indices.
        # Its attribute is there only once it is iterated: the class has to tell.
        from lightning.pytorch.overrides.distributed import _IndexBatchSamplerWrapper

        sampler = getattr(self._loader, "batch_sampler", None)
        return isinstance(sampler, _IndexBatchSamplerWrapper) and hasattr(self._dataset, "__len__")


def rows_in(batch: Any, parts: bool) -> int | None:
    """How many rows a batch has; None when it does not show.

    Args:
        batch: What a loader gave.
        parts: Whether lists and tuples in it hold a part of all rows each, or one row each.
    """
    if isinstance(batch, Mapping):
        return _first_told(batch.values(), parts)
    if hasattr(batch, "shape"):
        return int(batch.shape[0]) if len(batch.shape) else None
    if not isinstance(batch, tuple | list):
        return None
    inside = _first_told(batch, parts) if parts or hasattr(batch, "_fields") else None
    return len(batch) if inside is None else inside


def _first_told(values: Iterable[Any], parts: bool) -> int | None:
    return next((n for value in values if (n := rows_in(value, parts)) is not None), None)


def model_identity(module: Any, version: str | None) -> str:
    """What identifies a module's weights: the user's version, or a hash of names and samples.

    Hashing all bytes of a large model would delay every start; up to 1,024 values of each weight,
    spread evenly, change with any training.
    """
    if version is not None:
        return f"version {version}"
    torch = frameworks.torch()
    digest = hashlib.sha256(type(module).__qualname__.encode())
    with torch.no_grad():
        for name, value in itertools.chain(module.named_parameters(), module.named_buffers()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            # Of a sharded weight its own part: asking for all of it would wait for other ranks.
            local = value.to_local() if hasattr(value, "to_local") else value
            if local.numel() and local.device.type != "meta":
                flat = torch.view_as_real(local) if local.is_complex() else local
                flat = flat.detach().reshape(-1)
                sample = flat[:: max(1, flat.numel() // _SAMPLES)].cpu()
                digest.update(sample.double().numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
