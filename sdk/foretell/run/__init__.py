"""Composes a run: the only place that knows every part."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell.run.execute import predict_job, resume_run, retry_run
    from foretell.run.forecast import Forecast, plan_job
    from foretell.run.handle import Run, open_run
    from foretell.run.outcome import Outcome
    from foretell.run.python import predict
    from foretell.run.streaming import stream

_WHERE = {
    "predict_job": "execute",
    "resume_run": "execute",
    "retry_run": "execute",
    "plan_job": "forecast",
    "Forecast": "forecast",
    "open_run": "handle",
    "Run": "handle",
    "Outcome": "outcome",
    "predict": "python",
    "stream": "streaming",
}

__all__ = [
    "Forecast",
    "Outcome",
    "Run",
    "open_run",
    "plan_job",
    "predict",
    "predict_job",
    "resume_run",
    "retry_run",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
