"""One ``trainer.predict`` on one rank, from the first batch to the finished stores."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from foretell.errors import ConfigError, Interrupted, ShapeMismatch, StoreError
from foretell.store.open import open_objects
from foretell.types import Arrays

from foretell_torch.writer import ptfiles
from foretell_torch.writer.commits import Commits
from foretell_torch.writer.finish import finish_zarr, tidy
from foretell_torch.writer.finish_pt import finish_pt_rank, record_pt_complete
from foretell_torch.writer.flatten import flatten, plain
from foretell_torch.writer.identity import Identity, model_identity
from foretell_torch.writer.places import as_numbers
from foretell_torch.writer.record import (
    Record,
    check_same,
    read_record,
    refuse_foreign,
    write_record,
)
from foretell_torch.writer.rows import stored_rows
from foretell_torch.writer.spool import INDEX, SPOOL, Spool
from foretell_torch.writer.together import by_first

if TYPE_CHECKING:
    from foretell_torch.writer.callback import PredictionWriter

log = logging.getLogger("foretell_torch")


def folder_of(format: str, interval: str) -> str:
    """Where the segments of a run lie: an index where each batch has a file of its own."""
    return INDEX if format == "pt" and interval != "epoch" else SPOOL


class Session:
    """What the callback holds while a Trainer predicts.

    Args:
        writer: The callback: its settings.
        folder: Absolute path of the output folder.
        trainer: The Trainer, its loaders prepared.
        module: The LightningModule, on its device.

    Raises:
        StoreError: the folder holds something else.
        FingerprintMismatch: it holds the predictions of another model, dataset or set of ranks.
    """

    def __init__(self, writer: PredictionWriter, folder: Path, trainer: Any, module: Any) -> None:
        from lightning.pytorch.utilities.combined_loader import CombinedLoader

        self._writer = writer
        self._folder = folder
        self._trainer = trainer
        self._rank = int(trainer.global_rank)
        self._objects = open_objects(str(folder), label=f"rank-{self._rank:04d}")
        loaders = CombinedLoader(trainer.predict_dataloaders, "sequential").flattened
        self._identities = [Identity(loader) for loader in loaders]
        self._record = self._agree(module)
        if self._rank == 0:
            tidy(folder, self._record)
        self._where = folder_of(writer.format, writer.write_interval)
        self._stored = stored_rows(self._objects, self._where, self._record)
        trainer.strategy.barrier("predictions: looked at what is stored")
        self._commits = Commits(
            self._objects, self._record, self._in_order(), writer.compression, log.info
        )
        self._spool = Spool(
            self._objects,
            self._where,
            self._rank,
            bytes_per_segment=writer.segment_bytes,
            by_time=writer.write_interval != "epoch",
            commits=self._commits,
        )
        self._dtypes: dict[int, dict[str, np.dtype]] = {}
        self._announce()

    def take(self, prediction: Any, batch: Any, batch_idx: int, loader: int) -> None:
        """Store one batch's prediction, but for rows that are stored already.

        Raises:
            ShapeMismatch: a part of the prediction does not fit, naming it.
            StorageError: the disk is full or gone.
            Interrupted: somebody asked for an end.
        """
        identity = self._identities[loader]
        arrays = None
        if identity.counted:
            if batch_idx == 0:
                identity.learn(batch)
            if prediction is not None:
                arrays = self._outputs(prediction, batch, None, batch_idx, loader)
            count = len(next(iter(arrays.values()))) if arrays else identity.told(batch)
            rows = identity.rows(batch_idx, count)
            if rows is None:
                raise ShapeMismatch(
                    "a batch was predicted to be None and nobody knows how many rows it had",
                    facts=[
                        ("batch", self._where_is(batch_idx, loader)),
                        ("got", type(batch).__name__),
                    ],
                    tries=[("a map-style dataset", "whose rows have an index")],
                )
        else:
            found = identity.rows(batch_idx, None)
            assert found is not None
            rows = found
        if self._stored.everything:
            return
        new = self._stored.of(loader, self._rank, identity.counted).fresh(rows)
        if new is not None and not new.any():
            return
        kept = rows if new is None else as_numbers(rows)[new]
        if prediction is None:
            self._spool.add_gap(loader, kept)
            return
        if arrays is None:
            arrays = self._outputs(prediction, batch, len(rows), batch_idx, loader)
        if new is not None:
            arrays = {name: values[new] for name, values in arrays.items()}
        if self._where == INDEX:
            saved = prediction if new is None else ptfiles.nested(arrays)
            self._spool.add_file(loader, kept, *self._save(saved, batch_idx, loader))
            return
        self._spool.add(loader, kept, arrays)
        if self._commits.cancelled:
            raise Interrupted(
                "the predictions were cancelled by sdk cancel; what there is has been stored",
                facts=[("folder", str(self._folder))],
                tries=[("trainer.predict(…)", "once more, with the same callback: it goes on")],
            )

    def end(self) -> None:
        """Store what is left; then finish, if every row is there."""
        try:
            try:
                self._spool.flush()
            finally:
                self._spool.close()
            self._trainer.strategy.barrier("predictions: every rank has stored its rows")
            if not self._record.complete and not self._cut_short():
                self._finish()
        finally:
            self._commits.close()
        self._trainer.strategy.barrier("predictions: finished")

    def abandon(self) -> None:
        """Store what there is and end the thread; never raises."""
        self._spool.close()
        self._commits.close()

    # --- steps ----------------------------------------------------------------------------------

    def _outputs(
        self, prediction: Any, batch: Any, n_rows: int | None, batch_idx: int, loader: int
    ) -> Arrays:
        """A batch's outputs; they may share memory with the prediction."""
        dtypes = self._dtypes.get(loader)
        if dtypes is not None:
            arrays = plain(prediction, n_rows, dtypes)
            if arrays is not None:
                return arrays
        where = self._where_is(batch_idx, loader)
        told = self._identities[loader].told(batch) if n_rows is None else None
        arrays = flatten(prediction, n_rows, where, known=dtypes or (), told=told)
        if dtypes is None:
            self._dtypes[loader] = {name: values.dtype for name, values in arrays.items()}
        return arrays

    def _in_order(self) -> list[int]:
        """Loaders whose chunks may come whole: one process predicts them, by index."""
        if self._writer.format != "zarr" or self._trainer.world_size > 1:
            return []
        return [number for number, each in enumerate(self._identities) if not each.counted]

    def _where_is(self, batch_idx: int, loader: int) -> str:
        return f"{batch_idx} of loader {loader} on rank {self._rank}"

    def _agree(self, module: Any) -> Record:
        """Rank 0 writes the record, or checks the one that is there; the others read it."""
        writer = self._writer
        now = Record(
            writer.format,
            writer.write_interval,
            int(self._trainer.world_size),
            writer.iterable_order,
            model_identity(module, writer.version),
            tuple(identity.record() for identity in self._identities),
        )
        if self._rank == 0:
            self._make_folder()
            stored = read_record(self._objects)
            if stored is None:
                refuse_foreign(self._objects)
                write_record(self._objects, now)
            else:
                check_same(str(self._folder), stored, now)
        self._trainer.strategy.barrier("predictions: the folder is ours")
        found = read_record(self._objects)
        if found is None:
            raise ConfigError(
                "the output folder is not shared by all ranks",
                facts=[("folder", str(self._folder)), ("rank", str(self._rank))],
                tries=[("output_dir=a folder on a shared file system", "")],
                slug="config-shared",
            )
        return found

    def _make_folder(self) -> None:
        try:
            self._objects.ensure_root()
        except StoreError as error:
            raise StoreError(
                "the output folder cannot be written",
                facts=[("folder", str(self._folder)), *(f for f in error.facts if f[0] != "store")],
                tries=[("output_dir=another folder", "")],
                slug=error.slug,
            ) from error

    def _announce(self) -> None:
        if self._rank != 0:
            return
        for number, identity in enumerate(self._identities):
            if identity.counted:
                ranks = self._record.ranks
                unsplit = ", each rank's own" if ranks > 1 else ""
                log.warning(
                    "rows of loader %d have no index: they are identified by (rank, n)%s, and come "
                    "in the order %r. A dataset that does not split itself by rank is predicted "
                    "once by every rank.",
                    number,
                    unsplit,
                    self._record.order,
                )
        if self._record.complete:
            log.warning("%s is complete already: nothing will be written", self._folder)

    def _save(self, prediction: Any, batch_idx: int, loader: int) -> tuple[str, int]:
        """Store a batch's file under its name, or the next free one after an earlier run's."""
        loaders, number = len(self._identities), batch_idx
        name = ptfiles.batch_name(self._rank, number, loader, loaders)
        if name in self._stored.files:
            mine = ptfiles.batch_name(self._rank, 0, loader, loaders).removesuffix("0.pt")
            taken = [ptfiles.number_in(n) for n in self._stored.files if n.startswith(mine)]
            number = max(taken) + 1
            name = ptfiles.batch_name(self._rank, number, loader, loaders)
        size = ptfiles.save_batch(self._objects, name, prediction)
        self._stored.files.add(name)
        return name, size

    def _cut_short(self) -> bool:
        """Whether the Trainer was told to stop before counted rows came to their end."""
        limit = self._trainer.limit_predict_batches
        counted = any(identity.counted for identity in self._identities)
        whole = limit is None or (isinstance(limit, float) and limit == 1.0)
        return counted and not (whole or limit == float("inf"))

    def _finish(self) -> None:
        if self._writer.format == "zarr":
            by_first(self._trainer, self._make_stores, self._commits.interrupt)
            return
        record = self._record
        finish_pt_rank(self._folder, self._objects, record, self._rank)
        self._trainer.strategy.barrier("predictions: every rank has its file")
        if self._rank == 0:
            record_pt_complete(self._folder, self._objects, record)

    def _make_stores(self) -> None:
        if not finish_zarr(self._folder, self._objects, self._record, self._commits):
            log.warning("%s lacks rows: predict again to add them", self._folder)
