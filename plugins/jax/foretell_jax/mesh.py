"""Meshes of devices, and how rows and parameters lie on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from foretell.errors import ConfigError, LoadError
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from foretell_jax.layout import lay_out
from foretell_jax.trees import take_apart

ROWS = "dp"
"""The axis that rows are split over."""


def full_axes(axes: Mapping[str, int] | None, n_model_shards: int, devices: int) -> dict[str, int]:
    """The axes of a mesh, ``dp`` first.

    Args:
        axes: Axis name to size as the job says it, without ``dp`` when it is whatever is left; or
            None: as many model shards as said, rows over the rest.
        n_model_shards: Size of ``mp`` when there are no axes.
        devices: Devices there are.

    Raises:
        ConfigError: they do not divide the devices.
    """
    found = dict(axes) if axes is not None else {"mp": n_model_shards}
    others = math.prod(extent for name, extent in found.items() if name != ROWS)
    if ROWS not in found and (others > devices or devices % others):
        raise ConfigError(
            "the model shards do not divide the devices",
            facts=[
                ("devices", str(devices)),
                ("model shards", " x ".join(f"{k} {v}" for k, v in found.items())),
            ],
            tries=[("n_model_shards", f"one of {_divisors(devices)}"), *_SIMULATE],
            slug="mesh-divide",
        )
    rows = found.pop(ROWS) if ROWS in found else devices // others
    return {ROWS: rows, **found}


_SIMULATE = [("--set deployer.simulated_devices=8", "eight devices on a CPU, to try things out")]


def _divisors(number: int) -> str:
    return ", ".join(str(n) for n in range(1, number + 1) if number % n == 0)


def make_mesh(axes: Mapping[str, int], devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh over all devices of all processes, or over the first of them in one process.

    Args:
        axes: Axis name to size, ``dp`` first; each process then holds whole, neighbouring rows.
        devices: The devices, all by default, in the order of the processes.

    Raises:
        LoadError: there are other numbers of devices than the mesh needs.
    """
    have = list(jax.devices() if devices is None else devices)
    needed = math.prod(axes.values())
    if needed > len(have) or (needed < len(have) and jax.process_count() > 1):
        raise LoadError(
            "the mesh does not fit the devices",
            facts=[
                ("expected", f"{needed} devices: {dict(axes)}"),
                ("got", f"{len(have)}: {', '.join(map(str, have[:8]))}"),
            ],
            tries=_SIMULATE,
            slug="mesh-devices",
        )
    grid = np.empty(needed, dtype=object)
    grid[:] = have[:needed]
    return Mesh(grid.reshape(tuple(axes.values())), tuple(axes))


def by_rows(mesh: Mesh) -> NamedSharding:
    """Rows over ``dp``, everything else whole."""
    return NamedSharding(mesh, PartitionSpec(ROWS))


def everywhere(mesh: Mesh) -> NamedSharding:
    """Whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def specs_for(params: Any, rules: Any, mesh: Mesh) -> Any:
    """The partition spec of every parameter, in the tree of the parameters.

    Raises:
        ConfigError: as :func:`foretell_jax.layout.lay_out`.
    """
    tree = take_apart(params)
    layout = lay_out(params, rules, dict(mesh.shape))
    return tree.rebuild([PartitionSpec(*spec) for _, spec in layout])


def shardings_for(specs: Any, mesh: Mesh) -> Any:
    """The sharding of every parameter, in the tree of the specs."""
    return jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        specs,
        is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
    )


def row_shares(mesh: Mesh) -> int:
    """Into how many shares this process cuts the rows it is given.

    Where several processes hold the same rows (model shards that span processes), each is given
    all rows of the batch, and the answer is the size of ``dp``.
    """
    mine = {
        position[0]
        for position, device in np.ndenumerate(mesh.devices)
        if device.process_index == jax.process_index()
    }
    return max(1, len(mine))
