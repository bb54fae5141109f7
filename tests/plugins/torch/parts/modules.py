"""LightningModules and a datamodule that the tests name as a job would."""

import lightning as L
import numpy as np
import torch
from nets import Small
from torch.utils.data import DataLoader, Dataset


class Vectors(Dataset):
    def __init__(self, n, scale):
        rows = np.random.default_rng(0).normal(size=(n, 6)).astype("float32")
        self.rows = torch.from_numpy(rows) * scale

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


class Digits(L.LightningDataModule):
    def __init__(self, n=32):
        super().__init__()
        self.n, self.ready = n, False

    def setup(self, stage):
        self.ready = stage == "predict"

    def predict_dataloader(self):
        assert self.ready
        scales = (1, 10)
        return [DataLoader(Vectors(self.n, s), batch_size=4, collate_fn=stacked) for s in scales]


def stacked(items):
    return {"x": torch.stack([torch.as_tensor(item) for item in items])}


class Plain(L.LightningModule):
    """The default predict_step, which calls forward."""

    def __init__(self, width=8):
        super().__init__()
        self.save_hyperparameters()
        torch.manual_seed(3)
        self.net = Small(width)

    def forward(self, x):
        return self.net(x)


class Telling(Plain):
    """Says where a batch stands, and keeps a list of the hooks it saw."""

    def __init__(self, width=8, log=None):
        super().__init__(width)
        self.log_file = log

    def note(self, text):
        if self.log_file:
            with open(self.log_file, "a") as file:
                file.write(f"{text}\n")

    def setup(self, stage):
        self.note(f"setup {stage}")

    def on_predict_start(self):
        self.note("start")

    def on_predict_epoch_start(self):
        self.note("epoch start")

    def on_predict_batch_start(self, batch, batch_idx, dataloader_idx=0):
        self.note(f"batch {batch_idx} {dataloader_idx}")

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return {"x": batch["x"] * 2} if isinstance(batch, dict) else batch

    def on_predict_batch_end(self, outputs, batch, batch_idx, dataloader_idx=0):
        self.note(f"end {sorted(outputs)}")

    def on_predict_epoch_end(self):
        self.note("epoch end")

    def on_predict_end(self):
        self.note("end")

    def teardown(self, stage):
        self.note(f"teardown {stage}")

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        x = batch["x"] if isinstance(batch, dict) else batch
        where = torch.full((len(x),), batch_idx)
        return {"logits": self(x), "batch": where, "loader": torch.full_like(where, dataloader_idx)}
