"""Libraries that may be missing, and how to get them."""

from __future__ import annotations

import importlib
from typing import Any

from foretell.errors import LoadError

_INSTALL = {
    "jax": "pip install 'foretell[jax]'",
    "safetensors": "pip install 'foretell[jax]'",
    "flax": "pip install flax",
    "orbax.checkpoint": "pip install orbax-checkpoint",
}


def need(module: str, purpose: str) -> Any:
    """Import a library.

    Args:
        module: Name of the module, ``orbax.checkpoint``.
        purpose: What it is needed for, for the error.

    Raises:
        LoadError: it is not installed; with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        name = module.split(".")[0]
        raise LoadError(
            f"{name} is not installed",
            facts=[("needed for", purpose)],
            tries=[(_INSTALL.get(module, f"pip install {name}"), "")],
            slug="missing-extra",
        ) from error
