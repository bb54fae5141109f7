"""What this package adds to Foretell. Importing it imports no framework."""

from __future__ import annotations

from foretell import Entry, hookimpl


@hookimpl
def register_predictors() -> list[Entry]:
    """The mixture of experts."""
    target = "foretell_experts.predictor:ExpertsPredictor"
    return [
        Entry("experts", "Several torch modules, routed by row and combined", target, "experts")
    ]


@hookimpl
def register_deployers() -> list[Entry]:
    """Experts as services of the cluster."""
    target = "foretell_experts.deployer:ExpertsDeployer"
    return [
        Entry("experts", "Each expert a service on some worker, batched there", target, "experts")
    ]
