"""``kind = "local"``: the model is called where the batch is, in the worker's own threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

from pydantic import Field
from threadpoolctl import ThreadpoolController

from foretell.abc.deployer import DeployContext, Deployer, Deployment
from foretell.abc.options import DeployerOptions
from foretell.abc.predictor import Predictor
from foretell.errors import ForetellError, LoadError
from foretell.outputs import to_host
from foretell.types import JSON, Batch

_OUT_OF_MEMORY = ("OutOfMemoryError", "ResourceExhaustedError")
_SAYS_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "RESOURCE_EXHAUSTED")


class LocalOptions(DeployerOptions):
    """``[deployer]`` with ``kind = "local"``."""

    kind: str = Field(default="local", description="local")
    slots: int | None = Field(
        default=None,
        ge=1,
        description="Batches computed at once in one worker process, 1 by default. More of them "
        "call the model from several threads at once: say so only if it may be.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads of BLAS and OpenMP inside one call; the cores divided by the slots "
        "by default.",
    )


class LocalDeployer(Deployer):
    """Loads the model once per worker process and calls it in the calling thread."""

    Options = LocalOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"callable"})

    def __init__(self, options: LocalOptions) -> None:
        self.options = options

    def slots(self, cpus: int) -> int:
        return self.options.slots or 1

    def threads(self, cpus: int, slots: int) -> int:
        return self.options.threads or max(1, cpus // slots)

    def deploy(self, predictor: Predictor, context: DeployContext) -> LocalDeployment:
        try:
            model = predictor.load()
        except ForetellError:
            raise
        except Exception as error:
            raise LoadError(
                "the model could not be loaded",
                facts=[("cause", f"{type(error).__name__}: {error}")],
            ) from error
        return LocalDeployment(predictor, model, context.threads)


class LocalDeployment(Deployment):
    """A model in this process. ``launch`` computes; ``collect`` moves the result to NumPy.

    One batch is in flight per thread, so a model may hand out the same output buffer every time.

    Args:
        predictor: What knows how to call the model.
        model: What it loaded.
        threads: BLAS and OpenMP threads for each call.
    """

    max_in_flight = 1
    any_batch_size = True

    def __init__(self, predictor: Predictor, model: Any, threads: int) -> None:
        self._predictor = predictor
        self._model = model
        self._threads = threads
        self._limited = threading.local()
        self._limits = ExitStack()
        self._lock = threading.Lock()
        self._batches = 0

    def launch(self, batch: Batch) -> Any:
        self._limit_threads()
        predictions = self._predictor.predict(self._model, batch)
        with self._lock:
            self._batches += 1
        return predictions

    def collect(self, handle: Any) -> Any:
        return to_host(handle)

    def stats(self) -> Mapping[str, JSON]:
        return {"batches": self._batches, "threads": self._threads}

    def devices(self) -> Sequence[str]:
        return ["cpu"]

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Memory errors of Python and NumPy, and those of tensor libraries by name and text."""
        if isinstance(error, MemoryError):
            return True
        if any(kind.__name__ in _OUT_OF_MEMORY for kind in type(error).__mro__):
            return True
        return isinstance(error, RuntimeError) and any(
            phrase in str(error) for phrase in _SAYS_OUT_OF_MEMORY
        )

    def close(self) -> None:
        """Give the model up and the thread limits back."""
        self._model = None
        with self._lock:
            self._limits.close()

    def _limit_threads(self) -> None:
        """Limit the pools of the libraries the model loaded, once in every calling thread.

        OpenMP keeps its limit per thread, BLAS per process; so each thread sets both.
        """
        if getattr(self._limited, "done", False):
            return
        with self._lock:
            self._limits.enter_context(ThreadpoolController().limit(limits=self._threads))
        self._limited.done = True
