"""``kind = "climate"``: the Magnus formula and the barometric formula as a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from foretell.abc import Predictor, PredictorOptions
from foretell.errors import ConfigError, LoadError, RowFailure
from foretell.types import Batch, Examples, OutputSpec
from pydantic import Field


class ClimateOptions(PredictorOptions):
    """``[predictor]`` with ``kind = "climate"``."""

    kind: Literal["climate"] = Field(default="climate", description="climate")
    altitude: float = Field(default=0.0, description="Height of the stations, in metres.")


@dataclass(frozen=True, slots=True)
class ClimateModel:
    """Coefficients of the Magnus formula (O. G. Sonntag, 1990)."""

    a: float
    b: float


class ClimatePredictor(Predictor):
    """Dew point, pressure at sea level, and how it feels."""

    Options = ClimateOptions
    model_kind: ClassVar[str] = "climate"
    default_deployer: ClassVar[str] = "climate"

    def __init__(self, options: ClimateOptions) -> None:
        if options.checkpoint is None:
            raise ConfigError(
                "the job names no coefficients", facts=[("missing", "predictor.checkpoint")]
            )
        self.options = options
        self._checkpoint = Path(options.resolve(options.checkpoint))
        if not self._checkpoint.is_file():
            raise LoadError(
                "there are no coefficients", facts=[("looked at", str(self._checkpoint))]
            )

    def load(self) -> ClimateModel:
        values = json.loads(self._checkpoint.read_text(encoding="utf-8"))
        return ClimateModel(float(values["a"]), float(values["b"]))

    def collate(self, examples: Examples) -> np.ndarray:
        assert isinstance(examples, dict)
        names = ("temperature", "pressure", "humidity")
        rows = np.stack([examples[name] for name in names], axis=1)
        bad = np.flatnonzero(~((rows[:, 2] > 0) & (rows[:, 2] <= 100)))
        if len(bad):
            raise RowFailure(bad.tolist(), f"humidity of {rows[bad[0], 2]:g} %")
        return rows

    def predict(self, model: ClimateModel, batch: Batch) -> dict[str, Any]:
        temperature, pressure, humidity = batch.inputs.T
        gamma = np.log(humidity / 100) + model.a * temperature / (model.b + temperature)
        scale = np.exp(self.options.altitude / (29.3 * (temperature + 273.15)))
        return {
            "dew_point": model.b * gamma / (model.a - gamma),
            "pressure": {"sea_level": pressure * scale},
        }

    def postprocess(self, predictions: Any) -> Mapping[str, Any]:
        dew_point = np.asarray(predictions["dew_point"], dtype=np.float32)
        feels = np.select([dew_point < 10, dew_point < 18], ["dry", "pleasant"], "humid")
        return {
            "dew_point": dew_point,
            "pressure/sea_level": np.asarray(
                predictions["pressure"]["sea_level"], dtype=np.float32
            ),
            "feels": feels.tolist(),
        }

    def output_specs(self) -> Sequence[OutputSpec]:
        return [
            OutputSpec("dew_point", (), "float32", attrs={"units": "degC"}),
            OutputSpec("pressure/sea_level", (), "float32", attrs={"units": "hPa"}),
            OutputSpec("feels", (), "str"),
        ]

    def fingerprint(self) -> Mapping[str, str]:
        digest = hashlib.sha256(self._checkpoint.read_bytes()).hexdigest()
        return {
            "checkpoint": f"sha256:{digest}",
            "altitude": str(self.options.altitude),
            "version": self.options.version or "",
        }
