"""Daft: Parquet through a batch UDF into Parquet (it reads no Zarr)."""

import daft
import numpy as np
import torch
from models.mlp import MLP

from peers.clock import arguments, job

given = arguments(threads=1)
torch.set_num_threads(given.threads)
model = MLP()
model(np.zeros((given.batch, 64), np.float32))
logits = daft.DataType.fixed_size_list(daft.DataType.float32(), 10)


@daft.udf(return_dtype=logits, batch_size=given.batch)
def predict(x):
    """One batch."""
    values = x.to_arrow().flatten().to_numpy(zero_copy_only=False).reshape(-1, 64)
    return list(model(np.ascontiguousarray(values))["logits"])


with job():
    frame = daft.read_parquet(f"{given.source}/*.parquet")
    frame.select(predict(frame["x"]).alias("logits")).write_parquet(given.output)
