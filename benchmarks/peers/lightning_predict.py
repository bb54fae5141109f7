"""Lightning's Trainer.predict with a writer callback that saves every batch with torch.save.

With ``--rows`` the loader makes its batches of single rows, as loaders do unless told otherwise.
"""

import logging
import os
import warnings

import lightning
import numpy as np
import torch
import zarr
from lightning.pytorch.callbacks import BasePredictionWriter
from models.mlp import MLP

from peers.clock import arguments, job

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
given = arguments()
if given.threads:
    torch.set_num_threads(given.threads)


class Module(lightning.LightningModule):
    """The network as a LightningModule."""

    def __init__(self):
        super().__init__()
        self.net = MLP().net

    def predict_step(self, batch, batch_idx):
        return self.net(batch)


class Blocks(torch.utils.data.IterableDataset):
    """Batches from whole stored chunks."""

    def __init__(self, path, size):
        self.path, self.size = path, size

    def __iter__(self):
        source = zarr.open_array(self.path, mode="r")
        for start in range(0, source.shape[0], source.chunks[0]):
            block = torch.from_numpy(source[start : start + source.chunks[0]])
            yield from block.split(self.size)


class Rows(torch.utils.data.Dataset):
    """Rows, one by one."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


class Writer(BasePredictionWriter):
    """One file a batch."""

    def write_on_batch_end(
        self, trainer, module, prediction, indices, batch, batch_idx, dataloader_idx
    ):
        torch.save(prediction.clone(), os.path.join(given.output, f"{batch_idx:06d}.pt"))


os.makedirs(given.output)
module = Module().eval()
with torch.inference_mode():
    module.net(torch.from_numpy(np.zeros((given.batch, 64), np.float32)))
trainer = lightning.Trainer(
    accelerator="cpu",
    devices=1,
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    callbacks=[Writer("batch")],
)


def loader():
    """Batches of rows."""
    if not given.rows:
        return torch.utils.data.DataLoader(Blocks(given.source, given.batch), batch_size=None)
    rows = torch.from_numpy(zarr.open_array(given.source, mode="r")[:])
    return torch.utils.data.DataLoader(Rows(rows), batch_size=given.batch)


with job():
    trainer.predict(module, loader(), return_predictions=False)
