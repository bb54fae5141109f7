"""Workload B's bare loop: batches of sentences through MiniLM, written a block at a time."""

import importlib.util
import json
from pathlib import Path

import torch
import zarr

from peers.clock import arguments, job

file = Path(__file__).parents[2] / "examples" / "sentences" / "model.py"
spec = importlib.util.spec_from_file_location("sentences_model", file)
sentences = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sentences)

given = arguments(batch=64)
if given.threads:
    torch.set_num_threads(given.threads)
model = sentences.MiniLM()
with open(given.source, encoding="utf-8") as lines:
    records = [json.loads(line) for line in lines]
model(sentences.texts_of(records[: given.batch]))
with job():
    with open(given.source, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    group = zarr.create_group(given.output)
    arrays = {}
    for start in range(0, len(records), given.batch):
        outputs = model(sentences.texts_of(records[start : start + given.batch]))
        for name, values in outputs.items():
            if name not in arrays:
                arrays[name] = group.create_array(
                    name,
                    shape=(len(records), *values.shape[1:]),
                    chunks=(given.batch, *values.shape[1:]),
                    dtype=values.dtype,
                )
            arrays[name][start : start + len(values)] = values
