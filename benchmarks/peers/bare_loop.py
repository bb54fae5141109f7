"""The bare loop, written with care: reads whole stored chunks, writes whole chunks.

Reading 4,096 rows at a time would read each stored chunk of 16,384 four times.
"""

import numpy as np
import torch
import zarr
from models.mlp import MLP

from peers.clock import arguments, job

given = arguments()
if given.threads:
    torch.set_num_threads(given.threads)
model = MLP()
model(np.zeros((given.batch, 64), np.float32))
with job():
    source = zarr.open_array(given.source, mode="r")
    rows, block = source.shape[0], source.chunks[0]
    output = zarr.create_array(
        given.output, shape=(rows, 10), chunks=(block, 10), dtype="float32", name="logits"
    )
    for start in range(0, rows, block):
        examples = source[start : start + block]
        output[start : start + block] = np.concatenate(
            [
                model(examples[at : at + given.batch])["logits"]
                for at in range(0, len(examples), given.batch)
            ]
        )
