"""The bundled demo: 1,797 handwritten digits, a trained network, and a job file for them.

The images are the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, UCI Machine Learning Repository, 1998, CC BY 4.0) as scikit-learn carries it. The network
is trained by ``examples/digits/train.py``.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROWS = 1797
CHUNK = 32
"""Rows of a batch and of a chunk: 57 chunks, so that an interrupt finds the run under way."""

_JOB = """\
# 1,797 handwritten digits through a small network. Try:
#   sdk plan job.toml
#   sdk predict job.toml
version = 1

[source]
kind = "npy"
path = "digits.npy"

[predictor]
kind = "callable"
model = "model:Digits"
checkpoint = "weights.npz"
batch_size = {chunk}
{options}
[writer]
kind = "zarr"
path = "digits.zarr"

[schedule]
chunk = {chunk}
"""

_DELAY = """\
# The network needs a fraction of a millisecond for a batch. This makes it wait, so that there is
# something to watch and to interrupt; take it out to see the real speed.
options = {{ delay = {delay} }}
"""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many digits were read right.

    Attributes:
        all: Share of all images, those the network was trained on included.
        held_out: Share of the images it never saw.
        held_out_rows: How many those are.
    """

    all: float
    held_out: float
    held_out_rows: int


def write(folder: str | Path, *, delay: float = 0.0) -> Path:
    """Lay out a copy of the demo that runs by itself: images, weights, model and job file.

    Args:
        folder: Created when missing; files of the demo in it are replaced.
        delay: Seconds the model waits in every batch; written into the job file when above 0.

    Returns:
        Path of the job file; its output is ``digits.zarr`` beside it.
    """
    import numpy as np

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name in ("model.py", "weights.npz"):
        shutil.copyfile(HERE / name, place / name)
    np.save(place / "digits.npy", _load("images"))
    options = _DELAY.format(delay=float(delay)) if delay > 0 else ""
    job = place / "job.toml"
    job.write_text(_JOB.format(chunk=CHUNK, options=options), encoding="utf-8")
    return job


def accuracy(predicted: Any) -> Accuracy:
    """Compare predicted digits with the true ones.

    Args:
        predicted: Integers ``(1797,)``, the run's ``label``.
    """
    import numpy as np

    right = np.asarray(predicted) == _load("labels")
    held_out = _load("held_out")
    return Accuracy(float(right.mean()), float(right[held_out].mean()), int(held_out.sum()))


def _load(name: str) -> Any:
    import numpy as np

    with np.load(HERE / "digits.npz", allow_pickle=False) as data:
        return data[name]
