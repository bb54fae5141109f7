"""Workload C by hand: the digits job, importing the libraries that ``sdk predict`` uses."""

import sys

import dask  # noqa: F401
import distributed  # noqa: F401
import numpy as np
import zarr
from foretell.demo import HERE
from foretell.demo.model import Digits

BATCH = 32
with np.load(HERE / "digits.npz") as data:
    images = data["images"]
model = Digits(HERE / "weights.npz")
group = zarr.create_group(sys.argv[1])
arrays = {
    "label": group.create_array("label", shape=(1797,), chunks=(BATCH,), dtype="uint8"),
    "probability": group.create_array(
        "probability", shape=(1797, 10), chunks=(BATCH, 10), dtype="float32"
    ),
}
for start in range(0, len(images), BATCH):
    for name, values in model(images[start : start + BATCH]).items():
        arrays[name][start : start + BATCH] = values
