"""Checkpoints of the Python door: orbax folders and a JSON file beside them. Never a pickle.

::

    CKPT/params/       orbax, a pytree of arrays
    CKPT/opt_state/    orbax, when there is one
    CKPT/info.json     plain values, and the state of the random keys

redco keeps the shapes in a pickle beside them; it is neither written nor opened here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from foretell.errors import LoadError
from jax.sharding import Mesh, PartitionSpec

from foretell_jax.mesh import shardings_for, specs_for
from foretell_jax.needs import need
from foretell_jax.orbax_folder import OrbaxFolder
from foretell_jax.placing import target_dtype

_LAST = Path("ckpts") / "last_ckpt.txt"


def save(
    folder: str | os.PathLike[str],
    params: Any,
    opt_state: Any,
    rng: Any,
    float_dtype: Any,
    info: Mapping[str, Any],
) -> None:
    """Write a checkpoint; every process calls this, each writes its own parts."""
    orbax = need("orbax.checkpoint", "saving a checkpoint")
    place = Path(folder).absolute()
    place.mkdir(parents=True, exist_ok=True)
    floats = None if float_dtype is None else str(jax.numpy.dtype(float_dtype))
    with orbax.PyTreeCheckpointer() as checkpointer:
        for name, tree in (("params", params), ("opt_state", opt_state)):
            if tree is not None:
                arguments = jax.tree.map(
                    lambda leaf: orbax.SaveArgs(dtype=target_dtype(np.result_type(leaf), floats)),
                    tree,
                )
                checkpointer.save(place / name, tree, save_args=arguments, force=True)
    if jax.process_index() == 0:
        values = {**info, "rng": np.asarray(rng).tolist()}
        (place / "info.json").write_text(json.dumps(values, indent=4), encoding="utf-8")


def load(
    folder: str | os.PathLike[str],
    mesh: Mesh,
    rules: Any,
    optimizer: Any,
    float_dtype: Any,
    *,
    load_params: bool,
    load_opt_state: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a checkpoint, parameters straight into their sharding, the rest replicated."""
    place = Path(folder).absolute()
    if not place.is_dir():
        raise LoadError(
            "there is no checkpoint", facts=[("looked at", str(place))], slug="load-checkpoint"
        )
    floats = None if float_dtype is None else str(jax.numpy.dtype(float_dtype))
    found: dict[str, Any] = {"params": None, "opt_state": None}
    if load_params and (place / "params").is_dir():
        source = OrbaxFolder(place / "params")
        specs = specs_for(source.shapes(), rules, mesh)
        found["params"] = source.load(shardings_for(specs, mesh), floats)
    if load_opt_state and (place / "opt_state").is_dir():
        source = OrbaxFolder(place / "opt_state")
        specs = jax.tree.map(lambda _: PartitionSpec(), source.shapes())
        state = source.load(shardings_for(specs, mesh), floats)
        found["opt_state"] = _shaped(state, optimizer, found["params"])
    return found, _info(place / "info.json")


def _shaped(state: Any, optimizer: Any, params: Any) -> Any:
    """The optimizer's state in the containers its optimizer uses."""
    if optimizer is None or params is None:
        return state
    like = jax.eval_shape(optimizer.init, params)
    leaves = jax.tree.leaves(state)
    if len(leaves) != jax.tree.structure(like).num_leaves:
        raise LoadError(
            "the checkpoint holds the state of another optimizer",
            facts=[
                ("expected", f"{jax.tree.structure(like).num_leaves} arrays"),
                ("got", str(len(leaves))),
            ],
            slug="load-checkpoint",
        )
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _info(file: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if "rng" in values:
        values["rng"] = np.asarray(values["rng"], np.uint32)
    return values


def remember(workdir: str, folder: str | os.PathLike[str]) -> None:
    """Note the last checkpoint of a working folder."""
    if jax.process_index() == 0:
        note = Path(workdir) / _LAST
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(Path(folder).absolute()), encoding="utf-8")


def last(workdir: str) -> Path | None:
    """The last checkpoint of a working folder, if it is still there."""
    try:
        path = Path((Path(workdir) / _LAST).read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None
    return path if path.is_dir() else None
