"""What is encoded without zarr's machinery is what zarr itself stores, to the byte."""

import json
from typing import Any

import numpy as np
import pytest
import zarr
from foretell.abc.writer import WriterPlan
from foretell.builtin.writers.zarr_encode import Encoder
from foretell.builtin.writers.zarr_layout import documents, object_key
from foretell.testing.outputs import NUMBERS, TEXT, sample
from foretell.types import OutputSpec
from zarr.core.buffer.cpu import Buffer
from zarr.storage import MemoryStore

SPECS = (*NUMBERS, *TEXT, OutputSpec("large", (2**17,), "float64"))


def by_zarr(made, spec, values, start):
    """The objects zarr makes of the same rows, by key."""
    stored: dict[str, Any] = {key: Buffer.from_bytes(data) for key, data in made.items()}
    array = zarr.open_array(MemoryStore(stored), path=spec.name, mode="r+")
    array = array.with_config({"write_empty_chunks": True})
    array[start : start + len(values)] = values
    return {key: value.to_bytes() for key, value in stored.items() if key not in made}


@pytest.mark.parametrize("level", [0, 1, 3])
@pytest.mark.parametrize("chunk", [0, 2])
def test_bytes_are_zarrs(level, chunk):
    plan = WriterPlan(n_rows=21, chunk_rows=8, batch_size=4, outputs=SPECS)
    made = documents(plan, level, complete=False)
    assert "sharding_indexed" in json.dumps(json.loads(made["large/zarr.json"]))
    encoder = Encoder(made, [spec.name for spec in SPECS], level)
    rows = plan.chunk(chunk)
    values = sample(SPECS, len(rows), seed=chunk)
    keys = [object_key(spec, chunk) for spec in SPECS]
    encoded = encoder.encode(values, rows.start, keys)
    for spec, key, data in zip(SPECS, keys, encoded, strict=True):
        assert {key: bytes(data)} == by_zarr(made, spec, values[spec.name], rows.start), spec.name


def test_big_endian_values_are_stored_little_endian():
    spec = OutputSpec("x", (), "int32")
    plan = WriterPlan(4, 4, 4, (spec,))
    encoder = Encoder(documents(plan, 0, complete=False), ["x"], 0)
    values = np.arange(4, dtype="int32")
    (one,) = encoder.encode({"x": values}, 0, ["x/c.0"])
    (other,) = encoder.encode({"x": values.astype(">i4")}, 0, ["x/c.0"])
    assert bytes(one) == bytes(other)
    assert bytes(one)[:4] == b"\0\0\0\0"
    assert bytes(one)[4] == 1
