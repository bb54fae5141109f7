"""A Trainer that predicts, with one writer or another, or the same batches in a bare loop.

Rows or texts lie in memory before the clock starts, so that the network and the writers decide.
"""

import argparse
import gc
import json
import logging
import os
import resource
import warnings

import lightning
import numpy as np
import torch
import zarr
from foretell_torch import PredictionWriter
from lightning.pytorch.callbacks import BasePredictionWriter

from peers.clock import job
from peers.trainer_networks import heavy, light

BLOCK_BYTES = 4 * 2**20

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
parser = argparse.ArgumentParser()
kinds = ["loop", "unstored", "none", "nothing", "save", "batch", "epoch"]
parser.add_argument("--writer", choices=kinds, required=True)
parser.add_argument("--output", required=True)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--rows", type=int, default=20_000)
parser.add_argument("--texts", help="JSON lines; workload B's network instead of A's")
given = parser.parse_args()
torch.set_num_threads(2)


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


def stored(batches, rows):
    """Store the predictions of batches as Zarr arrays, a block of about 4 MiB at a time."""
    group = zarr.create_group(os.path.join(given.output, "loop.zarr"))
    arrays, waiting, start, held = {}, [], 0, 0

    def write():
        nonlocal waiting, start, held
        for name, array in arrays.items():
            block = np.concatenate([outputs[name] for outputs in waiting])
            array[start : start + len(block)] = block
        waiting, start, held = [], start + len(block), 0

    for prediction in batches:
        outputs = {name: tensor.numpy() for name, tensor in prediction.items()}
        for name, values in outputs.items() if not arrays else ():
            block = -(-BLOCK_BYTES // values[:1].nbytes // given.batch) * given.batch
            shape = values.shape[1:]
            arrays[name] = group.create_array(
                name,
                shape=(rows, *shape),
                chunks=(min(rows, block), *shape),
                dtype=values.dtype,
                compressors=[zarr.codecs.ZstdCodec(level=1, checksum=True)],
            )
        waiting.append(outputs)
        held += sum(values.nbytes for values in outputs.values())
        if held >= BLOCK_BYTES:
            write()
    if waiting:
        write()


os.makedirs(given.output)
module, loader = (heavy if given.texts else light)(given.rows, given.batch, given.texts)
with torch.inference_mode():
    module.predict_step(next(iter(loader())), 0)
writers = {
    "nothing": lambda: [Nothing("batch")],
    "save": lambda: [Saver("batch")],
    "batch": lambda: [PredictionWriter(f"{given.output}/p", "batch")],
    "epoch": lambda: [PredictionWriter(f"{given.output}/p", "epoch")],
}
gc.collect()  # what the imports left would be looked through in the middle of somebody's job
if given.writer in ("loop", "unstored"):
    predictions = (module.predict_step(batch, number) for number, batch in enumerate(loader()))
    with job(), torch.inference_mode():
        if given.writer == "loop":
            stored(predictions, given.rows)
        else:
            for _ in predictions:
                pass
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
        trainer.predict(module, loader(), return_predictions=False)
files = sum(len(names) for _, _, names in os.walk(given.output))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"files": files, "peak": peak}))
