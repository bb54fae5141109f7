"""Which rule takes which parameter, and what that costs each device."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import jax
import numpy as np
from foretell.text import size

from foretell_jax.layout import lay_out
from foretell_jax.rules import Path, Rule, Spec, shards_of, show_spec
from foretell_jax.trees import take_apart


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one parameter lies.

    Attributes:
        path: Its place in the tree.
        shape: Its whole shape.
        dtype: NumPy name.
        rule: The rule that took it; None where there are no rules.
        spec: How it is split.
        bytes_per_device: Bytes each device holds of it.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str
    rule: Rule | None
    spec: Spec
    bytes_per_device: int

    def record(self) -> dict[str, Any]:
        """Plain data, as ``sdk plan --sharding`` shows it."""
        return {
            "parameter": "/".join(self.path),
            "shape": str(self.shape),
            "dtype": self.dtype,
            "rule": "/".join(self.rule.path) if self.rule else "no rules: replicated",
            "spec": show_spec(self.spec),
            "bytes_per_device": self.bytes_per_device,
        }


def placed(params: Any, rules: Any, mesh: Any, dtype: str | None = None) -> list[Placed]:
    """Where every parameter lies.

    Args:
        params: Any pytree of arrays or of shapes and dtypes.
        rules: Rules, a tree of them for several sub-models, or None: nothing is split.
        mesh: A JAX mesh, or axis name to size.
        dtype: What float parameters are cast to when they are loaded; as they are for None.

    Raises:
        ConfigError: a parameter that no rule takes, or a spec that does not fit one.
    """
    axes = axes_of(mesh)
    tree = take_apart(params)
    layout = lay_out(params, rules, axes)
    found = []
    for path, leaf, (rule, spec) in zip(tree.paths, tree.leaves, layout, strict=True):
        kind = leaf.dtype
        if dtype is not None and jax.numpy.issubdtype(kind, jax.numpy.floating):
            kind = jax.numpy.dtype(dtype)
        shape = tuple(int(extent) for extent in leaf.shape)
        held = math.prod(shape) // shards_of(spec, axes) * np.dtype(kind).itemsize
        found.append(Placed(path, shape, str(np.dtype(kind)), rule, spec, held))
    return found


def axes_of(mesh: Any) -> dict[str, int]:
    """Axis name to size, of a JAX mesh or a plain mapping."""
    return dict(mesh if isinstance(mesh, Mapping) else mesh.shape)


def bytes_per_device(parameters: Sequence[Placed]) -> int:
    """Bytes of parameters that each device holds."""
    return sum(parameter.bytes_per_device for parameter in parameters)


def explain_sharding(
    params: Any, rules: Any = None, mesh: Any = None, *, file: TextIO | None = None
) -> list[Placed]:
    """Print which rule takes which parameter: path, shape, spec, bytes per device.

    Args:
        params: Any pytree of arrays or of shapes and dtypes (``jax.eval_shape`` gives one).
        rules: ``(expressions, PartitionSpec)`` pairs, a tree of such lists for several
            sub-models, or None: everything is replicated.
        mesh: A JAX mesh, or axis name to size, ``{"dp": 4, "mp": 2}``; by default all devices
            along ``dp``.
        file: Where it is printed; standard output by default.

    Returns:
        The same as data, one item a parameter.

    Raises:
        ConfigError: a parameter that no rule takes, or a spec that does not fit one.
    """
    if mesh is None:
        mesh = {"dp": jax.device_count(), "mp": 1}
    found = placed(params, rules, mesh)
    out = sys.stdout if file is None else file
    out.write("\n".join(table(found, axes_of(mesh))) + "\n")
    return found


def table(parameters: Sequence[Placed], axes: Mapping[str, int]) -> list[str]:
    """The parameters as aligned lines, the sum last."""
    head = ("parameter", "shape", "dtype", "rule", "spec", "bytes per device")
    rows: list[tuple[str, ...]] = [head]
    for record in (parameter.record() for parameter in parameters):
        *texts, held = record.values()
        rows.append((*map(str, texts), f"{held:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    mesh = " x ".join(f"{name} {extent}" for name, extent in axes.items())
    total = bytes_per_device(parameters)
    return [*lines, f"{len(parameters)} parameters, {size(total)} per device on a mesh of {mesh}"]
