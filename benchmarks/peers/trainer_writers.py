"""A Trainer that predicts, with one writer or another, or the same batches in a bare loop.

The rows lie in memory and the loader fetches a batch at once, so that the writers decide.
"""

import argparse
import gc
import json
import logging
import os
import resource
import warnings

import lightning
import torch
from foretell_torch import PredictionWriter
from lightning.pytorch.callbacks import BasePredictionWriter
from models.mlp import MLP

from peers.clock import job

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
parser = argparse.ArgumentParser()
kinds = ["loop", "none", "nothing", "save", "batch", "epoch"]
parser.add_argument("--writer", choices=kinds, required=True)
parser.add_argument("--output", required=True)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--rows", type=int, default=20_000)
given = parser.parse_args()
torch.set_num_threads(2)


class Module(lightning.LightningModule):
    """The network as a LightningModule."""

    def __init__(self):
        super().__init__()
        self.net = MLP().net

    def predict_step(self, batch, batch_idx):
        return {"logits": self.net(batch)}


class Rows(torch.utils.data.Dataset):
    """Rows that are fetched a batch at once; they repeat after 16,384."""

    def __init__(self, n):
        self.n = n
        self.rows = torch.randn(16_384, 64, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return self.n

    def __getitems__(self, indices):
        return self.rows[torch.tensor(indices) % len(self.rows)]


class Nothing(BasePredictionWriter):
    """What Lightning itself spends on a writer."""

    def write_on_batch_end(self, *given):
        pass


class Saver(BasePredictionWriter):
    """What people write: a file a batch."""

    def write_on_batch_end(
        self, trainer, module, prediction, indices, batch, batch_idx, dataloader_idx
    ):
        torch.save(prediction, os.path.join(given.output, f"{batch_idx:06d}.pt"))


def loader(n):
    """Batches in the order of the rows."""
    return torch.utils.data.DataLoader(Rows(n), given.batch, collate_fn=lambda rows: rows)


os.makedirs(given.output)
module = Module().eval()
with torch.inference_mode():
    module.predict_step(torch.zeros(given.batch, 64), 0)
writers = {
    "nothing": lambda: [Nothing("batch")],
    "save": lambda: [Saver("batch")],
    "batch": lambda: [PredictionWriter(f"{given.output}/p", "batch")],
    "epoch": lambda: [PredictionWriter(f"{given.output}/p", "epoch")],
}
gc.collect()  # what the imports left would be looked through in the middle of somebody's job
if given.writer == "loop":
    with job(), torch.inference_mode():
        for number, batch in enumerate(loader(given.rows)):
            module.predict_step(batch, number)
else:
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=writers.get(given.writer, list)(),
    )
    with job():
        trainer.predict(module, loader(given.rows), return_predictions=False)
files = sum(len(names) for _, _, names in os.walk(given.output))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"files": files, "peak": peak}))
