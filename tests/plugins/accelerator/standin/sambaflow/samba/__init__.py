"""What the tutorial imports as ``samba``. Every call is recorded, and checked as a device would."""

import json
from pathlib import Path
from typing import Any

import torch

from sambaflow.samba import utils

CALLS: list[Any] = []


class SambaTensor:
    """A tensor on the device, by name."""

    def __init__(self, tensor, name):
        self._tensor = tensor
        self.name = name

    def schema(self):
        return [self.name, str(self._tensor.dtype), list(self._tensor.shape)]


def from_torch_model_(model):
    """In place, as the underscore says."""
    CALLS.append(("from_torch_model_", type(model).__name__))
    model.samba = True


def from_torch_tensor(tensor, name):
    if not torch.is_tensor(tensor):
        raise TypeError(f"{name}: a torch tensor is wanted")
    return SambaTensor(tensor, name)


def to_torch(tensor):
    if not isinstance(tensor, SambaTensor):
        raise TypeError("a SambaTensor is wanted")
    return tensor._tensor


def schema_of(inputs):
    return [None if value is None else value.schema() for value in inputs]


class Session:
    """The one session of a process."""

    def __init__(self):
        self.graph = None

    def compile(self, model, inputs, app_dir, inference):
        CALLS.append(("compile", app_dir, inference))
        if not getattr(model, "samba", False):
            raise RuntimeError("the model was not converted")
        out = Path(app_dir) / "out" / "model"
        out.mkdir(parents=True)
        (out / "model.pef").write_text(json.dumps({"inputs": schema_of(inputs)}))

    def run(self, input_tensors, output_tensors, hyperparam_dict, section_types):
        CALLS.append(("run", dict(hyperparam_dict), list(section_types)))
        model, schema = output_tensors.model, output_tensors.schema
        if schema_of(input_tensors) != schema:
            raise RuntimeError(f"inputs {schema_of(input_tensors)}, the PEF has {schema}")
        return utils.outputs_of(model, input_tensors, SambaTensor)


session = Session()

__all__ = ["CALLS", "SambaTensor", "from_torch_model_", "from_torch_tensor", "session", "utils"]
