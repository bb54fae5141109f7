"""Checkpoints of a backend: tensors in safetensors, all else as JSON in its header. No pickle."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from foretell.errors import LoadError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

if TYPE_CHECKING:
    from foretell_experts.backend import ExpertBackend

FORMAT = "foretell-expert"
VERSION = 1
_WEIGHTS = "expert."
_OPTIMIZER = "optimizer."


class CheckpointError(LoadError):
    """A checkpoint cannot be written, read, or given to this expert."""

    slug = "expert-checkpoint"


def save(backend: ExpertBackend, path: str | Path) -> None:
    """Write a backend's state; the file appears whole or not at all."""
    tensors = {_WEIGHTS + name: value for name, value in backend.expert.state_dict().items()}
    record: dict[str, Any] = {
        "version": VERSION,
        "name": backend.name,
        "update_count": backend.update_count,
        "examples_processed": backend.examples_processed,
        "optimizer": None,
        "schedule": None,
    }
    if backend.opt is not None:
        record["optimizer"] = _split(backend.opt.state_dict(), tensors)
    if backend.schedule is not None:
        record["schedule"] = backend.schedule.state_dict()
    apart = {name: _apart(name, value) for name, value in tensors.items()}
    _write(apart, {"format": FORMAT, "record": _json(record)}, Path(path))


def _split(state: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """An optimizer's state as plain data, its tensors put aside under names."""
    plain: dict[str, Any] = {}
    for index, values in state["state"].items():
        plain[str(index)] = {}
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                name = f"{_OPTIMIZER}{index}.{key}"
                tensors[name] = value
                plain[str(index)][key] = {"tensor": name}
            else:
                plain[str(index)][key] = {"value": value}
    return {"state": plain, "param_groups": state["param_groups"]}


def _apart(name: str, value: Any) -> torch.Tensor:
    """A copy that shares no memory with another weight: safetensors stores each on its own."""
    if not isinstance(value, torch.Tensor):
        raise CheckpointError(
            "a checkpoint holds tensors only",
            facts=[("in the state", name), ("got", type(value).__name__)],
        )
    return value.detach().to("cpu", copy=True).contiguous()


def _json(record: dict[str, Any]) -> str:
    try:
        return json.dumps(record)
    except TypeError as error:
        raise CheckpointError(
            "the state of the optimizer or schedule is not plain data",
            facts=[("cause", str(error))],
        ) from error


def _write(tensors: dict[str, torch.Tensor], header: dict[str, str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        save_file(tensors, name, metadata=header)
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def load(backend: ExpertBackend, path: str | Path) -> None:
    """Read a backend's state. All of it is checked before any of it is taken over."""
    tensors, header = read(path)
    if header.get("format") != FORMAT:
        raise CheckpointError("this is no checkpoint of an expert", facts=[("file", str(path))])
    record = json.loads(header["record"])
    if record["version"] != VERSION:
        raise CheckpointError(
            "the checkpoint has another format version",
            facts=[
                ("file", str(path)),
                ("expected", str(VERSION)),
                ("got", str(record["version"])),
            ],
        )
    weights = weights_of(tensors, header)
    check_weights(backend.expert, weights, str(path))
    optimizer = _joined(record["optimizer"], tensors)
    if (optimizer is None) != (backend.opt is None):
        held = "none" if optimizer is None else "one"
        raise CheckpointError(
            "only one of checkpoint and expert has an optimizer",
            facts=[("file", str(path)), ("expert", backend.name), ("checkpoint has", held)],
        )
    if backend.opt is not None:
        _check_groups(backend.opt, optimizer, str(path))
        backend.opt.load_state_dict(optimizer)
    backend.expert.load_state_dict(weights)
    if backend.schedule is not None and record["schedule"] is not None:
        backend.schedule.load_state_dict(record["schedule"])
    backend.update_count = int(record["update_count"])
    backend.examples_processed = int(record["examples_processed"])


def _joined(record: Mapping[str, Any] | None, tensors: Mapping[str, torch.Tensor]) -> Any:
    if record is None:
        return None
    state = {
        int(index): {
            key: tensors[item["tensor"]] if "tensor" in item else item["value"]
            for key, item in values.items()
        }
        for index, values in record["state"].items()
    }
    groups = [
        {key: tuple(v) if key == "betas" else v for key, v in group.items()}
        for group in record["param_groups"]
    ]
    return {"state": state, "param_groups": groups}


def _check_groups(opt: torch.optim.Optimizer, state: Any, path: str) -> None:
    now = [len(group["params"]) for group in opt.param_groups]
    then = [len(group["params"]) for group in state["param_groups"]]
    if now != then:
        raise CheckpointError(
            "the checkpoint's optimizer has other parameter groups",
            facts=[("file", path), ("expected", str(now)), ("got", str(then))],
        )


def read(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            "the checkpoint cannot be read", facts=[("file", str(path)), ("cause", str(error))]
        ) from error


def weights_of(
    tensors: Mapping[str, torch.Tensor], header: Mapping[str, str]
) -> dict[str, torch.Tensor]:
    """The module's weights in a safetensors file, a backend's checkpoint or a plain one."""
    if header.get("format") != FORMAT:
        return dict(tensors)
    return {
        name.removeprefix(_WEIGHTS): value
        for name, value in tensors.items()
        if name.startswith(_WEIGHTS)
    }


def check_weights(module: torch.nn.Module, weights: Mapping[str, torch.Tensor], path: str) -> None:
    """Refuse weights that are not exactly a module's.

    Raises:
        CheckpointError: naming what is missing, surplus, or of another shape.
    """
    expected = module.state_dict()
    facts = [
        ("missing", ", ".join(sorted(expected.keys() - weights.keys()))),
        ("surplus", ", ".join(sorted(weights.keys() - expected.keys()))),
    ]
    facts += [
        (name, f"expected {tuple(expected[name].shape)}, got {tuple(weights[name].shape)}")
        for name in sorted(expected.keys() & weights.keys())
        if expected[name].shape != weights[name].shape
    ]
    wrong = [(label, text) for label, text in facts if text]
    if wrong:
        raise CheckpointError("the weights are not this module's", facts=[("file", path), *wrong])
