"""How much a compiled program's outputs differ from the eager model's, on a calibration batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from foretell.types import JSON

from foretell_accelerator.schema import ArraySpec


def differences(
    specs: Sequence[ArraySpec], eager: Sequence[np.ndarray], compiled: Sequence[np.ndarray]
) -> dict[str, JSON]:
    """Per output: for floats the largest and mean absolute difference and the largest value they
    are of; for anything else the share of equal values.
    """
    found: dict[str, JSON] = {}
    for spec, one, other in zip(specs, eager, compiled, strict=True):
        if one.dtype.kind in "fc":
            apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
            found[spec.name] = {
                "max_abs": _plain(apart.max(initial=0.0)),
                "mean_abs": _plain(apart.mean() if apart.size else 0.0),
                "largest": _plain(np.abs(one).max(initial=0.0)),
            }
        else:
            found[spec.name] = {"equal": _plain((one == other).mean() if one.size else 1.0)}
    return found


def _plain(value: float) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None


def worst(calibration: object) -> float | None:
    """The largest difference of any output of any program; None when there are no floats."""
    if not isinstance(calibration, dict):
        return None
    known = [
        output["max_abs"]
        for program in calibration.values()
        for output in program.values()
        if output.get("max_abs") is not None
    ]
    return max(known, default=None)
