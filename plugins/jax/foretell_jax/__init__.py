"""JAX for Foretell: meshes, sharding rules, one compiled program per batch shape.

Two doors, one implementation. ``sdk predict`` finds the predictor and the deployer called ``jax``;
Python code that comes from redco changes one import::

    from foretell_jax import Deployer, Predictor

Importing this package imports no JAX: every public name is looked up when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell_jax.door.deployer import Deployer
    from foretell_jax.door.predictor import Predictor
    from foretell_jax.explain import explain_sharding
    from foretell_jax.predictor import JaxPredictor
    from foretell_jax.runner import JaxDeployer

_WHERE = {
    "Deployer": "foretell_jax.door.deployer",
    "Predictor": "foretell_jax.door.predictor",
    "explain_sharding": "foretell_jax.explain",
    "JaxPredictor": "foretell_jax.predictor",
    "JaxDeployer": "foretell_jax.runner",
}

__all__ = ["Deployer", "JaxDeployer", "JaxPredictor", "Predictor", "explain_sharding"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'foretell_jax' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
