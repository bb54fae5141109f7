"""A compiled model at work: batches in, arrays out, figures kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from foretell.abc import Deployment, Predictor
from foretell.outputs import to_host
from foretell.types import JSON, Batch

from foretell_accelerator.artifact import Artifact
from foretell_accelerator.calibrate import worst
from foretell_accelerator.compiling import COMPILED

_OUT_OF_MEMORY = ("OutOfMemoryError", "ResourceExhaustedError")
_SAYS_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "RESOURCE_EXHAUSTED", "bad_alloc")


class AcceleratorDeployment(Deployment):
    """A loaded artifact. ``launch`` computes; the device works for one batch of a thread at a time.

    Args:
        predictor: What knows how to call the model.
        model: What it is given: a callable, or a generator of text.
        artifact: Tells the artifact at work; None before the first batch compiled it.
        figures: Further figures for the run's record.
    """

    max_in_flight = 1

    def __init__(
        self,
        predictor: Predictor,
        model: Any,
        artifact: Callable[[], Artifact | None],
        figures: Callable[[], Mapping[str, JSON]] = dict,
    ) -> None:
        self._predictor = predictor
        self._model = model
        self._artifact = artifact
        self._figures = figures
        self._lock = threading.Lock()
        self._batches = 0

    def launch(self, batch: Batch) -> Any:
        predictions = self._predictor.predict(self._model, batch)
        with self._lock:
            self._batches += 1
        return predictions

    def collect(self, handle: Any) -> Any:
        return to_host(handle)

    def devices(self) -> Sequence[str]:
        artifact = self._artifact()
        return ["cpu"] if artifact is None else [artifact.manifest.device]

    def stats(self) -> Mapping[str, JSON]:
        """The target, what was compiled in this process and how long it took, and the model's."""
        artifact = self._artifact()
        known: dict[str, JSON] = {}
        if artifact is not None:
            manifest = artifact.manifest
            known = {"target": manifest.target, "precision": manifest.precision}
        return {
            **known,
            "batches": self._batches,
            "compilations": COMPILED.programs,
            "compile_seconds": COMPILED.seconds,
            **self._figures(),
        }

    def notes(self) -> Sequence[tuple[str, str]]:
        """What runs, where it came from, and how far it is from the eager model."""
        artifact = self._artifact()
        if artifact is None:
            return ()
        manifest = artifact.manifest
        lines = [("compiled", f"{manifest.target}, {manifest.precision}, {manifest.device}")]
        if artifact.path is not None:
            lines.append(("artifact", str(artifact.path)))
        apart = worst(manifest.calibration)
        if apart is not None:
            lines.append(("differs", f"by {apart:.1e} at most from the model, on calibration rows"))
        return lines

    def remarks(self) -> Sequence[str]:
        """That the model was compiled here, how long that took, and where the result is kept."""
        artifact = self._artifact()
        if artifact is None or not COMPILED.programs:
            return ()
        took, where = COMPILED.seconds, artifact.path
        return [f"compiled for {artifact.manifest.target} in {took:.1f} s, kept in {where}"]

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Memory errors of Python, and those of the frameworks by name and text."""
        if isinstance(error, MemoryError):
            return True
        if any(kind.__name__ in _OUT_OF_MEMORY for kind in type(error).__mro__):
            return True
        return isinstance(error, RuntimeError) and any(
            phrase in str(error) for phrase in _SAYS_OUT_OF_MEMORY
        )

    def close(self) -> None:
        """Free the programs."""
        artifact = self._artifact()
        if artifact is not None:
            artifact.close()
