"""What the tutorial imports as ``utils``."""

import json
from pathlib import Path
from typing import Any

import torch


class Traced(list[Any]):
    """Output tensors; a run fills them."""

    model: Any
    schema: Any


def trace_graph(model, inputs, pef):
    """The outputs of a compiled graph; its inputs must be those of the PEF."""
    from sambaflow import samba

    samba.CALLS.append(("trace_graph", Path(pef).name))
    compiled = json.loads(Path(pef).read_text())["inputs"]
    if samba.schema_of(inputs) != compiled:
        raise RuntimeError(f"traced {samba.schema_of(inputs)}, the PEF has {compiled}")
    traced = Traced(outputs_of(model, inputs, samba.SambaTensor))
    traced.model, traced.schema = model, compiled
    return traced


def outputs_of(model, inputs, wrap):
    """The forward pass, on the CPU: whole numbers of any width are indices there."""
    given = [None if value is None else value._tensor for value in inputs]
    wide = [
        value.long() if value is not None and not value.is_floating_point() else value
        for value in given
    ]
    with torch.no_grad():
        found = model(*wide)
    values = found.values() if hasattr(found, "values") else found
    values = (values,) if torch.is_tensor(values) else values
    return [wrap(value, f"output_{i}") for i, value in enumerate(values) if torch.is_tensor(value)]
