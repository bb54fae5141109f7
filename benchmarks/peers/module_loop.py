"""The bare loop over examples/minilm: batches of texts through the module, a block at a time."""

import importlib.util
import json
from pathlib import Path

import torch
import zarr

from peers.clock import arguments, job

file = Path(__file__).parents[2] / "examples" / "minilm" / "model.py"
spec = importlib.util.spec_from_file_location("minilm_model", file)
minilm = importlib.util.module_from_spec(spec)
spec.loader.exec_module(minilm)

given = arguments(batch=16)
if given.threads:
    torch.set_num_threads(given.threads)
model = minilm.MiniLM().eval()


def predicted(records):
    """Arrays of a batch."""
    with torch.inference_mode():
        tokens = {k: torch.from_numpy(v) for k, v in minilm.collate(records).items()}
        return {name: value.numpy() for name, value in model(**tokens).items()}


with open(given.source, encoding="utf-8") as lines:
    predicted([json.loads(line) for line in list(lines)[: given.batch]])
with job():
    with open(given.source, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    group = zarr.create_group(given.output)
    arrays = {}
    for start in range(0, len(records), given.batch):
        for name, values in predicted(records[start : start + given.batch]).items():
            if name not in arrays:
                arrays[name] = group.create_array(
                    name,
                    shape=(len(records), *values.shape[1:]),
                    chunks=(4 * given.batch, *values.shape[1:]),
                    dtype=values.dtype,
                )
            arrays[name][start : start + len(values)] = values
