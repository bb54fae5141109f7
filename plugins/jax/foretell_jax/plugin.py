"""What this package registers: light, so that listing names imports no JAX."""

from __future__ import annotations

from foretell.hookspecs import hookimpl
from foretell.types import Entry


@hookimpl
def register_predictors() -> list[Entry]:
    """The predictor for functions of parameters and a batch."""
    return [
        Entry(
            "jax",
            "A JAX function or flax module with its parameters",
            "foretell_jax.predictor:JaxPredictor",
            "jax",
        )
    ]


@hookimpl
def register_deployers() -> list[Entry]:
    """The deployer that spreads a JAX model over a mesh of devices."""
    return [
        Entry(
            "jax",
            "A mesh of devices, of one process or several, under sharding rules",
            "foretell_jax.runner:JaxDeployer",
            "jax",
        )
    ]
