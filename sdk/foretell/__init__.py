"""Foretell runs a trained model over a lot of data and never loses or misplaces a prediction.

The names below are imported when they are first used, so that ``import foretell`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from foretell._version import __version__

if TYPE_CHECKING:
    from foretell.errors import ForetellError, NotYetPredicted, PartialResult
    from foretell.hookspecs import hookimpl
    from foretell.run import open_run, predict, stream
    from foretell.types import Entry

_WHERE = {
    "predict": "foretell.run",
    "open_run": "foretell.run",
    "stream": "foretell.run",
    "hookimpl": "foretell.hookspecs",
    "Entry": "foretell.types",
    "ForetellError": "foretell.errors",
    "NotYetPredicted": "foretell.errors",
    "PartialResult": "foretell.errors",
}

__all__ = [
    "Entry",
    "ForetellError",
    "NotYetPredicted",
    "PartialResult",
    "__version__",
    "hookimpl",
    "open_run",
    "predict",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'foretell' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
