"""dask.array.map_blocks into to_zarr, in threads: each block predicted in batches.

As it is usually written torch computes every batch with a thread per core, in as many dask threads:
with ``--threads 1`` they do not fight.
"""

import dask
import dask.array as da
import numpy as np
import torch
from models.mlp import MLP

from peers.clock import arguments, job

given = arguments()
if given.threads:
    torch.set_num_threads(given.threads)
model = MLP()
model(np.zeros((given.batch, 64), np.float32))


def predict(block):
    """One block."""
    parts = [
        model(block[at : at + given.batch])["logits"] for at in range(0, len(block), given.batch)
    ]
    return np.concatenate(parts)


with job(), dask.config.set(scheduler="threads"):
    source = da.from_zarr(given.source)
    logits = source.map_blocks(predict, chunks=(source.chunks[0], (10,)), dtype="float32")
    logits.to_zarr(given.output, component="logits")
