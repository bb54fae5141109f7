"""Torch modules by import string, with their weights. No pickled code is run."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from foretell.errors import ForetellError, LoadError
from foretell.imports import load_object
from foretell_torch.weights import read_checkpoint, state_dict_in
from torch import nn

from foretell_experts.checkpoints import check_weights, read, weights_of

_LOADING = threading.Lock()
"""Modules are made one after the other: much in torch is initialised by whoever comes first."""


def load_module(
    what: str, text: str, options: Mapping[str, Any], checkpoint: Path | None, base_dir: Path | str
) -> nn.Module:
    """Make a module and give it its weights.

    Args:
        what: What to call it in an error.
        text: Import string of a class or function that makes it, or of the module itself.
        options: Keyword arguments of the class or function.
        checkpoint: ``.safetensors``, or a state dict in torch's own format.
        base_dir: Where the import string is looked up first.

    Raises:
        LoadError: with the cause.
    """
    with _LOADING:
        found = load_object(text, base_dir)
        module = found if isinstance(found, nn.Module) else _made(what, text, found, options)
        if checkpoint is not None:
            weights = read_weights(checkpoint)
            check_weights(module, weights, str(checkpoint))
            module.load_state_dict(weights)
        return module


def _made(what: str, text: str, found: Any, options: Mapping[str, Any]) -> nn.Module:
    try:
        module = found(**options)
    except ForetellError:
        raise
    except Exception as error:
        raise LoadError(
            f"{what} could not be made",
            facts=[
                ("import", text),
                ("options", ", ".join(f"{key}={value!r}" for key, value in options.items())),
                ("cause", f"{type(error).__name__}: {error}"),
            ],
        ) from error
    if not isinstance(module, nn.Module):
        raise LoadError(
            f"{what} is no torch module",
            facts=[("import", text), ("got", type(module).__name__)],
        )
    return module


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A state dict from a file.

    Raises:
        LoadError: it cannot be read, or holds more than tensors.
    """
    if path.suffix == ".safetensors":
        return weights_of(*read(path))
    return state_dict_in(read_checkpoint(str(path)), str(path), None, None)
