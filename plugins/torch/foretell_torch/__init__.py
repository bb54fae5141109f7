"""PyTorch and Lightning for Foretell, and a prediction writer for anyone's Lightning Trainer.

Importing this package imports no framework; each public name brings its own when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell_torch.collator import batch_collator
    from foretell_torch.deployer import TorchDeployer
    from foretell_torch.predictor import TorchPredictor
    from foretell_torch.writer.callback import PredictionWriter
    from foretell_torch.writer.reader import Predictions, read_predictions

_HOMES = {
    "PredictionWriter": "foretell_torch.writer.callback",
    "Predictions": "foretell_torch.writer.reader",
    "TorchDeployer": "foretell_torch.deployer",
    "TorchPredictor": "foretell_torch.predictor",
    "batch_collator": "foretell_torch.collator",
    "read_predictions": "foretell_torch.writer.reader",
}

__all__ = [
    "PredictionWriter",
    "Predictions",
    "TorchDeployer",
    "TorchPredictor",
    "batch_collator",
    "read_predictions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
