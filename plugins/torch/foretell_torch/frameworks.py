"""Imports the frameworks where they are needed, with an error that says how to get them."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from typing import Any

from foretell.errors import LoadError


def torch() -> Any:
    """The module ``torch``.

    Raises:
        LoadError: it is not installed; naming the extra.
    """
    return _framework("torch", "torch")


def lightning() -> Any:
    """The module ``lightning.pytorch``.

    Raises:
        LoadError: it is not installed; naming the extra.
    """
    return _framework("lightning.pytorch", "lightning")


def _framework(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LoadError(
            f"{module.partition('.')[0]} cannot be imported",
            facts=[("cause", str(error))],
            tries=[(f"pip install 'foretell[{extra}]'", "brings it")],
            slug="load-framework",
        ) from error


def version(distribution: str) -> str:
    """Version of an installed distribution, found without importing it; "" when there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def is_module(value: object) -> bool:
    """Whether a live object is a ``torch.nn.Module``. Imports nothing."""
    found = sys.modules.get("torch.nn")
    return found is not None and isinstance(value, found.Module)


def is_lightning_module(value: object) -> bool:
    """Whether a live object is a ``LightningModule``. Imports nothing."""
    kinds = [
        getattr(sys.modules[name], "LightningModule", None)
        for name in ("lightning.pytorch", "pytorch_lightning")
        if name in sys.modules
    ]
    return any(kind is not None and isinstance(value, kind) for kind in kinds)


def is_dataset(value: object) -> bool:
    """Whether a live object is a ``torch.utils.data.Dataset``. Imports nothing."""
    found = sys.modules.get("torch.utils.data")
    return found is not None and isinstance(value, found.Dataset)
