"""Predictions as files of ``torch.save``, under the names people know from such writers."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from foretell.errors import ShapeMismatch, StoreError
from foretell.store.objects import ObjectStore
from foretell.types import Arrays, OutputSpec

from foretell_torch import frameworks
from foretell_torch.batches import map_leaves

_BATCH = re.compile(r"__batch_(\d+)\.pt\Z")


def batch_name(rank: int, batch_idx: int, loader: int, loaders: int) -> str:
    """Name of the file of one batch."""
    middle = f"__loader_{loader}" if loaders > 1 else ""
    return f"predictions__rank_{rank}{middle}__batch_{batch_idx}.pt"


def rank_name(rank: int, loader: int, loaders: int) -> str:
    """Name of the file of all of a rank's predictions."""
    middle = f"__loader_{loader}" if loaders > 1 else ""
    return f"predictions__rank_{rank}{middle}.pt"


def number_in(name: str) -> int:
    """The batch number in a file's name."""
    match = _BATCH.search(name)
    return int(match[1]) if match else -1


def remove_others(folder: Path, names: Collection[str]) -> None:
    """Remove files of batches but for ``names``: a killed process left them, their rows unknown."""
    for path in folder.glob("predictions__rank_*__batch_*.pt"):
        if path.name not in names and _BATCH.search(path.name):
            path.unlink()


def save_batch(objects: ObjectStore, name: str, prediction: Any) -> int:
    """Store what ``predict_step`` returned, its tensors on the CPU, whole or not at all.

    Returns:
        Bytes of the file.

    Raises:
        ShapeMismatch: it holds something that ``torch.load(weights_only=True)`` would refuse.
    """
    buffer = io.BytesIO()
    frameworks.torch().save(map_leaves(prediction, _plain_leaf), buffer)
    objects.put(name, buffer.getbuffer(), leased=False)
    return objects.taken(name).size


def load(folder: Path, name: str) -> Any:
    """What a file holds, tensors and plain values only.

    Raises:
        StoreError: it cannot be read.
    """
    path = folder / name
    try:
        return frameworks.torch().load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes the decoder raise
        raise StoreError(
            "a file of predictions cannot be read",
            facts=[("file", str(path)), ("cause", str(error).partition("\n")[0][:300])],
            slug="store-damaged",
        ) from error


def save_rank(
    path: Path, specs: tuple[OutputSpec, ...], n_rows: int, pieces: Iterator[Arrays]
) -> None:
    """Store all rows of a rank as one nest of tensors, never all of them in memory.

    The tensors lie in files of their own while they are filled, so their pages can leave memory.

    Args:
        path: The file.
        specs: Outputs.
        n_rows: Rows altogether.
        pieces: Outputs of consecutive rows.
    """
    torch = frameworks.torch()
    scratch = path.with_name(f".{path.name}.scratch")
    scratch.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        filled: dict[str, Any] = {}
        for number, spec in enumerate(specs):
            if spec.dtype in ("str", "json"):
                filled[spec.name] = []
                continue
            shape = (n_rows, *spec.shape)
            kind = np.dtype(spec.dtype)
            big = int(np.prod(shape)) > 0
            filled[spec.name] = (
                np.memmap(scratch / str(number), kind, "w+", shape=shape)
                if big
                else np.zeros(shape, kind)
            )
        at = 0
        for arrays in pieces:
            size = len(next(iter(arrays.values())))
            for name, values in arrays.items():
                if isinstance(filled[name], list):
                    filled[name] += values.tolist()
                else:
                    filled[name][at : at + size] = values
            at += size
        torch.save(nested(filled), partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
        for file in scratch.iterdir():
            file.unlink()
        scratch.rmdir()


def nested(named: Mapping[str, np.ndarray | list[str]]) -> Any:
    """Outputs by path as nested dicts of tensors; the one output of a bare tensor as that tensor.

    Lists, and arrays of objects, become lists.
    """
    tensors = {name: _tensor(values) for name, values in named.items()}
    if list(tensors) == ["output"]:
        return tensors["output"]
    tree: dict[str, Any] = {}
    for path, value in tensors.items():
        *parents, last = path.split("/")
        level = tree
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return tree


def _tensor(values: np.ndarray | list[str]) -> Any:
    if isinstance(values, list):
        return values
    return values.tolist() if values.dtype.hasobject else frameworks.torch().from_numpy(values)


def _plain_leaf(leaf: Any) -> Any:
    torch = frameworks.torch()
    if torch.is_tensor(leaf):
        # A view of a large storage would be saved with all of it.
        return leaf.detach().cpu().clone()
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biufc":
        return torch.tensor(leaf)
    if leaf is None or isinstance(leaf, bool | int | float | str):
        return leaf
    raise ShapeMismatch(
        "a prediction holds something that is neither tensor nor plain value",
        facts=[("got", type(leaf).__name__)],
        tries=[("return tensors, numbers or text from predict_step", "")],
        slug="output",
    )
