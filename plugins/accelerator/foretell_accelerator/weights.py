"""Weights from files into a module, as tensors and nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from foretell.errors import LoadError
from foretell.frameworks import is_instance

from foretell_accelerator.targets.base import framework


def is_module(value: object) -> bool:
    """Whether a live object is a ``torch.nn.Module`` (not a class of them). Imports nothing."""
    return is_instance(value, "torch.nn", "Module")


def check(path: str | None, given: str | None) -> None:
    """Refuse weights that do not exist.

    Raises:
        LoadError: naming the path looked at.
    """
    if path is not None and not Path(path).exists():
        raise LoadError(
            f"there is no checkpoint {given!r}", facts=[("looked at", path)], slug="load-checkpoint"
        )


def read(path: str) -> dict[str, Any]:
    """The weights in a ``.safetensors`` file or one that ``torch.save`` wrote.

    Raises:
        LoadError: it cannot be read, or holds more than tensors; nothing in it is run.
    """
    torch = framework("torch")
    try:
        if path.endswith(".safetensors"):
            found: Any = framework("safetensors.torch").load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise LoadError(
            "the checkpoint holds more than tensors, so it was not loaded",
            facts=[("checkpoint", path), ("safe", "nothing in it was run")],
            tries=[("torch.save(model.state_dict(), …)", "keeps the weights alone")],
            slug="load-pickle",
        ) from error
    except Exception as error:
        raise LoadError(
            "the checkpoint cannot be read",
            facts=[("checkpoint", path), ("cause", f"{type(error).__name__}: {error}"[:300])],
            slug="load-weights",
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            return dict(found[key])
    return dict(found)


def load_into(module: Any, path: str | None) -> None:
    """Copy weights into a module, name by name; a weight that is tied to another may be absent.

    Raises:
        LoadError: names are missing or unexpected, or a shape is another.
    """
    if path is None:
        return
    weights = read(path)
    try:
        found = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise _misfit(module, path, str(error).strip().splitlines()[-1].strip()) from error
    own = dict(module.named_parameters(remove_duplicate=False))
    missing = [name for name in found.missing_keys if not _is_tied(own, name, weights)]
    if missing or found.unexpected_keys:
        told = [f"missing {', '.join(missing[:5])}"] if missing else []
        if found.unexpected_keys:
            told.append(f"unexpected {', '.join(found.unexpected_keys[:5])}")
        raise _misfit(module, path, "; ".join(told))


def _is_tied(own: dict[str, Any], name: str, weights: dict[str, Any]) -> bool:
    mine = own.get(name)
    return mine is not None and any(
        other is mine and alias in weights for alias, other in own.items() if alias != name
    )


def _misfit(module: Any, path: str, why: str) -> LoadError:
    return LoadError(
        "the checkpoint does not fit the model",
        facts=[("checkpoint", path), ("model", type(module).__name__), ("because", why)],
        slug="load-keys",
    )
