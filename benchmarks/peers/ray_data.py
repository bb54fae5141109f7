"""Ray Data: Parquet through map_batches into Parquet (it reads no Zarr)."""

import logging
import os

os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import ray

from peers.clock import arguments, job

given = arguments(threads=1)
ray.init(
    num_cpus=os.cpu_count(),
    logging_level=logging.ERROR,
    include_dashboard=False,
    runtime_env={"env_vars": {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}},
)
ray.data.DataContext.get_current().enable_progress_bars = False


class Predict:
    """The model in an actor."""

    def __init__(self):
        import torch
        from models.mlp import MLP

        torch.set_num_threads(given.threads)
        self.model = MLP()

    def __call__(self, batch):
        x = batch["x"]
        if x.dtype == object:
            x = np.stack(x)
        return self.model(np.ascontiguousarray(x, dtype=np.float32))


with job():
    rows = ray.data.read_parquet(given.source)
    rows.map_batches(Predict, batch_size=given.batch, concurrency=1, num_cpus=1).write_parquet(
        given.output
    )
ray.shutdown()
