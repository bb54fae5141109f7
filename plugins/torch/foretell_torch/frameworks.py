"""Imports the frameworks where they are needed, with an error that says how to get them."""

from __future__ import annotations

from typing import Any

from foretell.frameworks import framework, is_instance


def torch() -> Any:
    """The module ``torch``.

    Raises:
        LoadError: it is not installed; naming the extra.
    """
    return framework("torch", "torch")


def lightning() -> Any:
    """The module ``lightning.pytorch``.

    Raises:
        LoadError: it is not installed; naming the extra.
    """
    return framework("lightning.pytorch", "lightning")


def is_module(value: object) -> bool:
    """Whether a live object is a ``torch.nn.Module``. Imports nothing."""
    return is_instance(value, "torch.nn", "Module")


def is_lightning_module(value: object) -> bool:
    """Whether a live object is a ``LightningModule``. Imports nothing."""
    modules = ("lightning.pytorch", "pytorch_lightning")
    return any(is_instance(value, module, "LightningModule") for module in modules)


def is_dataset(value: object) -> bool:
    """Whether a live object is a ``torch.utils.data.Dataset``. Imports nothing."""
    return is_instance(value, "torch.utils.data", "Dataset")
