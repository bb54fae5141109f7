"""``kind = "climate"``: a pool of threads computes while the caller goes on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar, Literal

from foretell.abc import (
    DeployContext,
    Deployer,
    DeployerOptions,
    Deployment,
    Predictor,
)
from foretell.errors import LoadError
from foretell.types import JSON, Batch
from pydantic import Field


class ClimateDeployerOptions(DeployerOptions):
    """``[deployer]`` with ``kind = "climate"``."""

    kind: Literal["climate"] = Field(default="climate", description="climate")


class ClimateDeployer(Deployer):
    """Runs climate models."""

    Options = ClimateDeployerOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"climate"})
    supports_async: ClassVar[bool] = True

    def __init__(self, options: ClimateDeployerOptions) -> None:
        self.options = options

    def slots(self, cpus: int) -> int:
        return self.options.slots or min(2, cpus)

    def deploy(self, predictor: Predictor, context: DeployContext) -> ClimateDeployment:
        try:
            model = predictor.load()
        except Exception as error:
            raise LoadError(
                "the coefficients could not be loaded", facts=[("cause", str(error))]
            ) from error
        return ClimateDeployment(predictor, model, context.slots)


class ClimateDeployment(Deployment):
    """Batches in the hands of a pool: ``launch`` returns at once."""

    max_in_flight = 3

    def __init__(self, predictor: Predictor, model: Any, slots: int) -> None:
        self._predictor = predictor
        self._model = model
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="climate")
        self._lock = threading.Lock()
        self._rows = 0

    def launch(self, batch: Batch) -> Future[Any]:
        return self._pool.submit(self._predictor.predict, self._model, batch)

    def collect(self, handle: Future[Any]) -> Any:
        predictions = handle.result()
        with self._lock:
            self._rows += len(predictions["dew_point"])
        return predictions

    def stats(self) -> Mapping[str, JSON]:
        return {"rows": self._rows}

    def close(self) -> None:
        self._pool.shutdown()
