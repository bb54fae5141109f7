"""A real Trainer that predicts: in this process, or as a script with its settings as JSON.

The dataset's row ``i`` is ``[i, i + 0.5]``; the module doubles it, so every prediction
tells its row.
"""

import json
import logging
import os
import signal
import sys
import warnings

import lightning as L
import torch
from foretell_torch import PredictionWriter
from foretell_torch.writer import runstore
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, Dataset, IterableDataset


class Rows(Dataset):
    def __init__(self, n, first=0):
        self.n, self.first = n, first

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return torch.tensor([self.first + index, self.first + index + 0.5])


class Stream(IterableDataset):
    """Rows of this rank when split, all rows otherwise."""

    def __init__(self, n, split):
        self.n, self.split = n, split

    def __iter__(self):
        rank, world = (int(os.environ.get(k, d)) for k, d in (("LOCAL_RANK", 0), ("WORLD_SIZE", 1)))
        start, step = (rank, world) if self.split else (0, 1)
        for index in range(start, self.n, step):
            yield torch.tensor([float(index), index + 0.5])


class Double(L.LightningModule):
    """Doubles. ``shape`` says what predict_step returns; it may kill its process at a batch."""

    def __init__(self, shape="dict", kill_at=None, fail_at=None, none_at=(), scale=2.0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale))
        self.shape, self.kill_at, self.fail_at, self.none_at = shape, kill_at, fail_at, none_at
        self.seen = []

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        if self.kill_at == batch_idx:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fail_at == batch_idx:
            raise RuntimeError("planted")
        self.seen += batch[:, 0].int().tolist()
        if batch_idx in self.none_at:
            return None
        y = batch * self.scale
        return {
            "dict": lambda: {"y": y, "head": {"first": y[:, 0].int()}},
            "bare": lambda: y,
            "tuple": lambda: (y, [y[:, 0], y[:, 1]]),
            "list": lambda: [y, -y],
            "each": lambda: [torch.stack([row] * 3) for row in y],
            "bf16": lambda: {"y": y.bfloat16()},
            "scalar": lambda: {"y": y, "loss": y.sum()},
            "short": lambda: {"y": y[1:]},
            "text": lambda: {"y": y, "name": [f"row {int(v)}" for v in batch[:, 0]]},
            "ragged": lambda: {"y": y, "seq": torch.ones(len(y), batch_idx % 3 + 1)},
            "key": lambda: {"y": y} if batch_idx else {"y": y, "more": y},
            "dtype": lambda: {"y": y if batch_idx else y.double()},
        }[self.shape]()


class Sharded(Double):
    """Of its weight a part lies on each rank."""

    def __init__(self, **about):
        super().__init__(**about)
        self.net = torch.nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.net.weight.copy_(2 * torch.eye(2))

    def configure_model(self):
        fully_shard(self.net, mesh=self.device_mesh["data_parallel"])

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        return {"y": self.net(batch)}


def loaders(spec, writer=None):
    made = []
    for number, one in enumerate(spec):
        one = dict(one)
        kind, n = one.pop("kind", "rows"), one.pop("n")
        remaining = one.pop("remaining", False)
        data = Rows(n, one.pop("first", 0)) if kind == "rows" else Stream(n, kind == "split")
        if replicas := one.pop("repeating", 0):
            one["sampler"] = torch.utils.data.DistributedSampler(
                data,
                num_replicas=replicas,
                rank=int(os.environ.get("LOCAL_RANK", 0)),
                shuffle=False,
            )
        loader = DataLoader(data, batch_size=one.pop("batch_size", 8), **one)
        made.append(writer.remaining(loader, number) if remaining else loader)
    return made if len(made) > 1 else made[0]


def trainer(callbacks, **settings):
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        **{"devices": 1, **settings},
    )


def predict(out, spec, module=None, writer=None, returned=False, settings=None, **about):
    """One run, of a module or of one with these settings; returns it: it knows what it computed."""
    model = module if isinstance(module, Double) else Double(**(module or {}))
    callback = PredictionWriter(out, **(writer or {}))
    if about.get("threads"):
        torch.set_num_threads(1)
    if "chunk_bytes" in about:
        runstore.CHUNK_BYTES = about["chunk_bytes"]
    if about.get("sharded"):
        model = Sharded()
        settings = {**settings, "strategy": ModelParallelStrategy(settings["devices"], 1)}
    runner = trainer([callback], **(settings or {}))
    runner.predict(model, loaders(spec, callback), return_predictions=returned)
    return model


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    predict(**json.loads(sys.argv[1]), threads=1)
    if torch.distributed.is_initialized():
        # Lightning leaves gloo's threads to the exit, where now and then one aborts the process.
        torch.distributed.destroy_process_group()
