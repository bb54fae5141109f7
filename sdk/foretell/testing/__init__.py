"""Contract kits: subclass one, supply a fixture or two, and your part is tested as ours are.

::

    from foretell.testing import SourceContract

    class TestMySource(SourceContract):
        ...

Each kit's docstring says what to supply. They need pytest and are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell.testing.deployer import DeployerContract
    from foretell.testing.predictor import PredictorContract
    from foretell.testing.source import SourceContract
    from foretell.testing.writer import WriterContract

_WHERE = {
    "SourceContract": "foretell.testing.source",
    "PredictorContract": "foretell.testing.predictor",
    "DeployerContract": "foretell.testing.deployer",
    "WriterContract": "foretell.testing.writer",
}

__all__ = ["DeployerContract", "PredictorContract", "SourceContract", "WriterContract"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'foretell.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
