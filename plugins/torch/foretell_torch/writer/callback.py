"""The callback: what a Trainer predicts goes to disk, every row with its identity."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from foretell.errors import ConfigError
from foretell.store.open import open_objects

from foretell_torch import frameworks

frameworks.lightning()

from lightning.pytorch.callbacks import BasePredictionWriter  # noqa: E402

from foretell_torch.writer.finish import tidy  # noqa: E402
from foretell_torch.writer.record import read_record  # noqa: E402
from foretell_torch.writer.remaining import (  # noqa: E402
    at_least,
    without_first,
    without_rows,
    world_size,
)
from foretell_torch.writer.rows import stored_rows  # noqa: E402
from foretell_torch.writer.session import Session, folder_of  # noqa: E402

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

Interval = Literal["batch", "epoch", "batch_and_epoch"]
INTERVALS = ("batch", "epoch", "batch_and_epoch")
FORMATS = ("zarr", "pt")
ORDERS = ("rank", "turns")

SEGMENT_BYTES = 4 * 2**20


class PredictionWriter(BasePredictionWriter):  # type: ignore[misc]  # Lightning is not typed here
    """Writes what any Lightning ``Trainer`` predicts, and goes on where a killed one stopped.

    A row is its index in the loader's dataset, whatever rank predicts it and in whatever order;
    rows of an iterable dataset, or of a loader that does not tell indices, are counted by each rank
    (rank, n), and a line in the log says so. Nothing is kept for the epoch. Stored rows are never
    written again, and :meth:`remaining` spares computing them.

    With ``format="zarr"`` rows are stored within a second or so (``batch``, ``batch_and_epoch``) or
    by the megabyte (``epoch``), and what comes out is a Foretell run store in input order,
    ``output_dir/predictions.zarr`` (``predictions-0.zarr`` … with several loaders). Where one
    process predicts rows in order, the store grows while it does, ``sdk watch`` shows it and
    ``sdk cancel`` stops it; otherwise the store is made when the last row is there.
    With ``format="pt"`` there is a file for each batch,
    ``predictions__rank_{rank}__batch_{batch_idx}.pt``, or for each rank,
    ``predictions__rank_{rank}.pt``, or both. Read either with
    :func:`foretell_torch.read_predictions`.

    Pass ``return_predictions=False`` to ``trainer.predict``: otherwise the Trainer itself keeps
    everything in memory.

    Args:
        output_dir: Folder of the predictions, on a file system that all ranks share; it is made.
        write_interval: ``batch``, ``epoch`` or ``batch_and_epoch``.
        format: ``zarr`` or ``pt``.
        version: Your own name for the model's state; a hash of samples of its weights otherwise.
            Predictions of another model are never added to.
        iterable_order: Input order of counted rows: ``rank`` (all of rank 0 first) or ``turns``
            (the first of each rank, then the second …).
        compression: zstd level of the Zarr stores, 0 for a checksum only.
        segment_bytes: Size of the files that rows are collected in.

    Raises:
        ConfigError: an argument is none of those allowed.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        write_interval: Interval = "batch",
        format: Literal["zarr", "pt"] = "zarr",
        *,
        version: str | None = None,
        iterable_order: Literal["rank", "turns"] = "rank",
        compression: int = 1,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        # Lightning keeps every prediction of an epoch for a writer whose interval has one.
        super().__init__("batch")
        _check("write_interval", write_interval, INTERVALS)
        _check("format", format, FORMATS)
        _check("iterable_order", iterable_order, ORDERS)
        self.output_dir = str(output_dir)
        self.write_interval = write_interval
        self.format = format
        self.version = version
        self.iterable_order = iterable_order
        self.compression = compression
        self.segment_bytes = segment_bytes
        self._session: Session | None = None
        if format == "zarr":
            import zarr  # noqa: F401  # here, and not at the end of the first epoch

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    # --- what is stored already -----------------------------------------------------------------

    def remaining(self, loader: Any, dataloader_idx: int = 0) -> Any:
        """A loader of the rows that are not stored yet; the same loader when none is.

        Rows come in ascending order, whatever order ``loader`` has, and keep their identity. For
        an iterable dataset every rank leaves out as many rows as it has stored. Until the store is
        finished there is a row for each rank, stored or not: a Trainer without rows calls nobody.

        Args:
            loader: A ``DataLoader``, as it would be handed to the Trainer.
            dataloader_idx: Which of several it is.

        Raises:
            ConfigError: it has a batch sampler of its own; or it is iterable, reads in other
                processes, and something is stored.
            StoreError: what is stored is damaged.
        """
        from torch.utils.data import IterableDataset

        objects = open_objects(self.output_dir)
        record = read_record(objects)
        if record is None:
            return loader
        tidy(Path(self.output_dir).absolute(), record)
        stored = stored_rows(objects, folder_of(self.format, self.write_interval), record)
        if isinstance(loader.dataset, IterableDataset):
            skip = {
                rank: _prefix(stored.of(dataloader_idx, rank, True).missing)
                for rank in range(record.ranks)
            }
            if stored.everything:
                skip = dict(enumerate(record.counts[dataloader_idx]))
            return without_first(loader, skip) if any(skip.values()) else loader
        n_rows = len(loader.dataset)
        rows = stored.missing(dataloader_idx, n_rows)
        if not record.complete:
            rows = at_least(rows, min(n_rows, max(record.ranks, world_size())))
        return loader if len(rows) == n_rows else without_rows(loader, rows)

    def remaining_rows(self, n_rows: int, dataloader_idx: int = 0) -> np.ndarray:
        """Rows that are not stored yet, int64, ascending.

        For a loader of your own over these: leave no rank without a row, even when none is left
        and only the store is to be finished. Stored rows are harmless.

        Args:
            n_rows: Rows of the dataset.
            dataloader_idx: Which of several loaders.
        """
        objects = open_objects(self.output_dir)
        record = read_record(objects)
        stored = stored_rows(objects, folder_of(self.format, self.write_interval), record)
        return stored.missing(dataloader_idx, n_rows)

    # --- hooks ----------------------------------------------------------------------------------

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look what is stored, refuse what does not belong together, open the spool."""
        self._session = Session(self, Path(self.output_dir).absolute(), trainer, pl_module)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take over one batch's prediction; stop the Trainer when ``sdk cancel`` asked for it."""
        assert self._session is not None
        self._session.take(outputs, batch, batch_idx, dataloader_idx)

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing: an epoch's predictions are on disk already, or on their way."""

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Store what is left; rank 0 finishes when every row is there."""
        session, self._session = self._session, None
        assert session is not None
        session.end()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Store what there is, and let go: the next run continues it."""
        session, self._session = self._session, None
        if session is not None:
            session.abandon()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of the spool, should the Trainer have ended without saying so."""
        session, self._session = self._session, None
        if session is not None:
            session.abandon()


def _prefix(missing: Any) -> int:
    """How many rows from the first on are stored, none missing between them."""
    # ``missing(n)`` of one row more than there are always names the first that is not there.
    size = 1
    while True:
        found = missing(size)
        if len(found):
            return int(found[0])
        size *= 2


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"{name} cannot be {value!r}",
            facts=[("allowed", ", ".join(allowed))],
            slug="config-value",
        )
