"""An expert as a service: a module in some worker, called by the mixtures of all of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from foretell.errors import LoadError
from foretell.outputs import to_host, to_outputs
from foretell.types import Arrays

from foretell_experts import hosting
from foretell_experts.arguments import from_arrays
from foretell_experts.backend import ExpertBackend
from foretell_experts.errors import PoolClosed
from foretell_experts.modules import load_module
from foretell_experts.nested import nested_flatten, nested_map, nested_pack
from foretell_experts.pool import TaskPool
from foretell_experts.schema import BatchTensorDescriptor

UNANSWERED = "!unanswered"
"""Key of the one array, a reason, in the answer of an expert that has none."""


class ExpertService:
    """Computes the rows it is sent, those of several callers together.

    What one row looks like is learnt from the first call.

    Args:
        name: Of the expert.
        model, options, checkpoint, base_dir: See :func:`foretell_experts.modules.load_module`.
        device: Where the module is put; see :func:`foretell_experts.hosting.choose_device`.
        batching: ``dynamic``, or ``fixed``: no call shares a batch with another.
        max_batch_size: Most rows of a batch; what callers say when it is None or smaller.
        min_batch_size, flush: See :class:`TaskPool`.
        process_timeout: Seconds one call of the module may take.

    Raises:
        LoadError: the module cannot be loaded, or not be put on the device.
    """

    def __init__(
        self,
        name: str,
        model: str,
        options: Mapping[str, Any],
        checkpoint: str | None,
        base_dir: str,
        device: str,
        batching: str,
        max_batch_size: int | None,
        min_batch_size: int,
        flush: float,
        process_timeout: float,
    ) -> None:
        self.name = name
        self.device = hosting.choose_device(device)
        weights = None if checkpoint is None else Path(checkpoint)
        module = load_module(f"expert {name!r}", model, options, weights, base_dir).eval()
        try:
            self._module = module.to(self.device)
        except Exception as error:  # torch has many ways to say that a device is not there or full
            raise LoadError(
                f"expert {name!r} cannot be put on its device",
                facts=[("device", self.device), ("cause", str(error).partition("\n")[0])],
            ) from error
        self._share = batching == "dynamic"
        self._largest = max_batch_size or 0
        self._smallest = min_batch_size if self._share else 1
        self._flush = flush
        self._process_timeout = process_timeout
        self._backend: ExpertBackend | None = None
        self._key = ""
        self._lock = threading.Lock()

    def get_pools(self) -> Sequence[TaskPool]:
        """Its one pool, once it was called."""
        return () if self._backend is None else self._backend.get_pools()

    def forward(self, call: np.ndarray, **inputs: np.ndarray) -> Arrays:
        """Outputs of rows, by name.

        Args:
            call: float64 ``(3,)``: seconds the caller waits, rows of the job's batches, threads.
            **inputs: ``a0``, ``a1`` … positional, ``k_NAME`` keyword arguments, ``n`` rows each.

        Returns:
            Arrays of ``n`` rows; :data:`UNANSWERED` alone when there is no answer in time.

        Raises:
            Exception: what the module raised for these rows.
        """
        wait, limit, threads = float(call[0]), int(call[1]), int(call[2])
        args, kwargs = from_arrays(inputs)
        backend = self._ready(args, kwargs, limit, threads)
        future = None
        try:
            future = backend.forward_pool.submit_task(*nested_flatten((args, kwargs)))
            outputs = future.result(wait)
        except (TimeoutError, PoolClosed) as error:
            if future is not None:
                future.cancel()
            return {UNANSWERED: np.array([getattr(error, "message", "") or "no answer in time"])}
        return to_outputs(to_host(nested_pack(outputs, backend.outputs_schema)))

    def _ready(self, args: Any, kwargs: Any, limit: int, threads: int) -> ExpertBackend:
        """The backend, made from what the first call looks like."""
        with self._lock:
            if self._backend is None:
                args_schema, kwargs_schema = nested_map(_row_of, (args, kwargs))
                largest = max(self._largest, limit)
                self._backend = ExpertBackend(
                    self.name,
                    self._module,
                    args_schema=args_schema,
                    kwargs_schema=kwargs_schema,
                    max_batch_size=largest,
                    min_batch_size=min(self._smallest, largest),
                    timeout=self._flush,
                    share=self._share,
                )
                self._key = hosting.move_in(self, self._process_timeout, threads)
            pool = self._backend.forward_pool
            if limit > pool.max_batch_size:
                pool.max_batch_size = limit
            return self._backend

    def close(self) -> None:
        """Leave the process's runtime; what waits fails."""
        if self._key:
            hosting.move_out(self._key)


def _row_of(tensor: Any) -> BatchTensorDescriptor:
    return BatchTensorDescriptor(*tensor.shape[1:], dtype=tensor.dtype)
