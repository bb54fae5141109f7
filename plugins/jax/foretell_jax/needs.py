"""Libraries that may be missing, and how to get them."""

from __future__ import annotations

from typing import Any

from foretell.frameworks import framework

_INSTALL = {
    "flax.serialization": "pip install flax",
    "orbax.checkpoint": "pip install orbax-checkpoint",
}
"""Those that no extra brings."""


def need(module: str, purpose: str) -> Any:
    """Import a library.

    Args:
        module: Name of the module, ``orbax.checkpoint``.
        purpose: What it is needed for, for the error.

    Raises:
        LoadError: it is not installed; with the command that installs it.
    """
    return framework(module, "jax", purpose=purpose, install=_INSTALL.get(module, ""))
