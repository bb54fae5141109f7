"""What this package registers with Foretell. Importing it imports no framework."""

from __future__ import annotations

from foretell.hookspecs import hookimpl
from foretell.types import Entry

_HERE = "foretell_torch"


@hookimpl
def register_predictors() -> list[Entry]:
    """Predictors for modules, the more special first: a LightningModule is a module too."""
    return [
        Entry(
            "lightning",
            "A LightningModule and its predict_step",
            f"{_HERE}.lightning.predictor:LightningPredictor",
            extra="lightning",
        ),
        Entry("torch", "Any torch.nn.Module", f"{_HERE}.predictor:TorchPredictor", extra="torch"),
    ]


@hookimpl
def register_deployers() -> list[Entry]:
    """The deployer that puts a module on a CPU or a CUDA device."""
    target = f"{_HERE}.deployer:TorchDeployer"
    return [Entry("torch", "A PyTorch module on CPU or CUDA", target, extra="torch")]


@hookimpl
def register_sources() -> list[Entry]:
    """Sources for datasets that PyTorch users have already."""
    return [
        Entry(
            "torch-dataset",
            "A map-style dataset of PyTorch",
            f"{_HERE}.source:TorchDatasetSource",
            extra="torch",
        ),
        Entry(
            "lightning-loader",
            "A predict loader of a LightningDataModule",
            f"{_HERE}.lightning.loaders:LightningLoaderSource",
            extra="lightning",
        ),
    ]
