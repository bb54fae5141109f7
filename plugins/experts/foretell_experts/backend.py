"""A torch module behind two pools: forward, and backward with a step of its optimizer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from foretell_experts import checkpoints
from foretell_experts.errors import PoolError, StateChanged
from foretell_experts.nested import nested_compare, nested_flatten, nested_map, nested_pack
from foretell_experts.pool import TaskPool
from foretell_experts.schema import DUMMY_BATCH_SIZE, BatchTensorDescriptor

MAX_BATCH_SIZE = 4096
_CPU = torch.device("cpu")


class ExpertBackend(nn.Module):  # type: ignore[misc] # torch's types are not followed
    """Serves an expert to many clients, whose tasks share batches.

    ``forward`` and ``backward`` are what the pools call; clients submit to ``forward_pool`` and
    ``backward_pool``, and a :class:`Runtime` does the work.

    Args:
        name: Of the expert; its pools are ``{name}_forward`` and ``{name}_backward``.
        expert: A module whose arguments and outputs are tensors with one row on axis 0 for each
            row of the batch. It should treat rows independently: what shares a batch is chance.
        opt: Optimizer that takes a step after every backward batch. Without one the backend serves
            forward only.
        args_schema: What one row of each positional argument looks like.
        kwargs_schema: The same for keyword arguments.
        outputs_schema: A nest of descriptors; learnt from one batch of zeros when not given.
        schedule: A learning-rate scheduler of ``opt``, or what makes one from it
            (``lambda opt: CosineAnnealingLR(opt, 1000)``); stepped after every step of ``opt``.
        clip_grad_norm: Largest norm of the gradients of all parameters together.
        **pool_kwargs: For both :class:`TaskPool`; ``max_batch_size`` is 4,096 by default.

    Attributes:
        update_count: Steps taken.
        examples_processed: Rows of all backward batches.

    Raises:
        ValueError: no argument is described, or ``schedule`` is given without ``opt``.
    """

    def __init__(
        self,
        name: str,
        expert: nn.Module,
        opt: torch.optim.Optimizer | None = None,
        *,
        args_schema: Sequence[BatchTensorDescriptor] | None = None,
        kwargs_schema: Mapping[str, BatchTensorDescriptor] | None = None,
        outputs_schema: Any = None,
        schedule: LRScheduler | Callable[[torch.optim.Optimizer], LRScheduler] | None = None,
        clip_grad_norm: float | None = None,
        **pool_kwargs: Any,
    ) -> None:
        super().__init__()
        self.name = name
        self.expert = expert
        self.opt = opt
        self.args_schema = tuple(args_schema or ())
        self.kwargs_schema = dict(kwargs_schema or {})
        if not self.args_schema and not self.kwargs_schema:
            raise ValueError(
                f"expert {name!r} must take at least one tensor: give args_schema or kwargs_schema"
            )
        tensors = itertools.chain(expert.parameters(), expert.buffers())
        self._anchor = next(tensors, None)
        self._plain = len(self.args_schema) == 1 and not self.kwargs_schema
        self.schedule = _scheduler(name, schedule, opt)
        self.clip_grad_norm = clip_grad_norm
        self.update_count = 0
        self.examples_processed = 0
        self.forward_schema = (self.args_schema, self.kwargs_schema)
        self.outputs_schema = self._outputs() if outputs_schema is None else outputs_schema
        self.backward_schema = (self.forward_schema, self.outputs_schema)
        pool_kwargs.setdefault("max_batch_size", MAX_BATCH_SIZE)
        self.forward_pool = TaskPool(
            self.forward,
            name=f"{name}_forward",
            schema=tuple(nested_flatten(self.forward_schema)),
            **pool_kwargs,
        )
        self._backward_pool: TaskPool | None = None
        if opt is not None:
            self._backward_pool = TaskPool(
                self.backward,
                name=f"{name}_backward",
                schema=tuple(nested_flatten(self.backward_schema)),
                **pool_kwargs,
            )

    def _outputs(self) -> Any:
        """Descriptors of the outputs, from a batch of zeros that leaves no trace in the expert."""
        training = self.expert.training
        device = self.device
        args, kwargs = nested_map(
            lambda item: item.make_zeros(DUMMY_BATCH_SIZE).to(device), self.forward_schema
        )
        self.expert.eval()
        try:
            with torch.no_grad():
                outputs = self.expert(*args, **kwargs)
        finally:
            self.expert.train(training)
        return nested_map(_host_descriptor, outputs)

    @property
    def device(self) -> torch.device:
        """Where the expert's first parameter or buffer is; the CPU without any."""
        return _CPU if self._anchor is None else self._anchor.device

    # --- what the pools call -----------------------------------------------------------------

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs of a batch, without gradients.

        Args:
            *inputs: The leaves of (args, kwargs), in the order of :func:`nested_flatten`.

        Returns:
            The leaves of what the expert returned, on the inputs' device.
        """
        home, device = inputs[0].device, self.device
        moved = inputs if home == device else tuple(x.to(device) for x in inputs)
        with torch.no_grad():
            if self._plain:  # the most common case, without the walk through nests
                outputs = self.expert(moved[0])
            else:
                args, kwargs = nested_pack(moved, self.forward_schema)
                outputs = self.expert(*args, **kwargs)
        self._check_structure(outputs, "the expert's outputs")
        if home == device and isinstance(outputs, torch.Tensor):
            return (outputs,)
        return tuple(output.to(home) for output in nested_flatten(outputs))

    def backward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Gradients with respect to the inputs, and one step of the optimizer.

        Args:
            *inputs: The leaves of ((args, kwargs), gradients of the outputs).

        Returns:
            One gradient for each input; zeros for inputs that have none, integers among them.

        Raises:
            PoolError: the backend has no optimizer.
            StateChanged: the step itself failed, so the batch must not be tried again.
        """
        if self.opt is None:
            raise self._forward_only()
        home, device = inputs[0].device, self.device
        moved = (x.detach().to(device) for x in inputs)
        given, grad_outputs = nested_pack(moved, self.backward_schema)
        leaves = [x.requires_grad_(_differentiable(x)) for x in nested_flatten(given)]
        try:
            with torch.enable_grad():
                args, kwargs = nested_pack(leaves, self.forward_schema)
                outputs = self.expert(*args, **kwargs)
                self._check_structure(outputs, "the expert's outputs")
                _differentiate(outputs, grad_outputs)
        except BaseException:
            self.opt.zero_grad()
            raise
        try:
            self.apply_gradients()
        except Exception as error:
            raise StateChanged from error
        self.examples_processed += len(inputs[0])
        return tuple(
            (torch.zeros_like(x) if x.grad is None else x.grad).detach().to(home) for x in leaves
        )

    def apply_gradients(self) -> None:
        """Clip, step, schedule, and forget the gradients."""
        assert self.opt is not None
        if self.clip_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.expert.parameters(), self.clip_grad_norm)
        self.opt.step()
        self.opt.zero_grad()
        self.update_count += 1
        if self.schedule is not None:
            self.schedule.step()

    def _check_structure(self, outputs: Any, what: str) -> None:
        if not nested_compare(outputs, self.outputs_schema):
            raise PoolError(
                f"{what} have another structure than the schema",
                facts=[
                    ("expert", self.name),
                    ("expected", _shape_of(self.outputs_schema)),
                    ("got", _shape_of(outputs)),
                ],
            )

    def _forward_only(self) -> PoolError:
        return PoolError(
            "this expert serves forward only",
            facts=[("expert", self.name), ("missing", "an optimizer")],
        )

    # --- what others ask ---------------------------------------------------------------------

    @property
    def backward_pool(self) -> TaskPool:
        """Where gradients are sent.

        Raises:
            PoolError: there is no optimizer, so the expert serves forward only.
        """
        if self._backward_pool is None:
            raise self._forward_only()
        return self._backward_pool

    def get_pools(self) -> Sequence[TaskPool]:
        """The forward pool, and the backward pool where there is an optimizer."""
        if self._backward_pool is None:
            return (self.forward_pool,)
        return self.forward_pool, self._backward_pool

    def get_info(self) -> dict[str, Any]:
        """What a client must know: ``forward_schema``, ``outputs_schema``, ``keyword_names``."""
        return {
            "forward_schema": self.forward_schema,
            "outputs_schema": self.outputs_schema,
            "keyword_names": tuple(self.kwargs_schema),
        }

    def get_extra_state(self) -> dict[str, int]:
        """Counters, which ``state_dict`` carries beside the weights."""
        return {"update_count": self.update_count, "examples_processed": self.examples_processed}

    def set_extra_state(self, state: Mapping[str, int]) -> None:
        """Take counters back."""
        self.update_count = int(state["update_count"])
        self.examples_processed = int(state["examples_processed"])

    def save_checkpoint(self, path: str | Path) -> None:
        """Write weights, optimizer, schedule and counters to one safetensors file, atomically.

        Raises:
            CheckpointError: some state is neither tensors nor plain data.
        """
        checkpoints.save(self, path)

    def load_checkpoint(self, path: str | Path) -> None:
        """Take back what :meth:`save_checkpoint` wrote. No code in the file is ever run.

        Raises:
            CheckpointError: it is damaged or another expert's; nothing was changed.
        """
        checkpoints.load(self, path)


ModuleBackend = ExpertBackend
"""The backend's newer name."""


def _scheduler(
    name: str,
    schedule: LRScheduler | Callable[[torch.optim.Optimizer], LRScheduler] | None,
    opt: torch.optim.Optimizer | None,
) -> LRScheduler | None:
    if schedule is None or isinstance(schedule, LRScheduler):
        return schedule
    if opt is None:
        raise ValueError(f"expert {name!r} has a schedule, but no optimizer")
    return schedule(opt)


def _host_descriptor(output: Any) -> BatchTensorDescriptor:
    if not isinstance(output, torch.Tensor) or len(output) != DUMMY_BATCH_SIZE:
        got = f"{tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output)
        raise ValueError(f"every output must be a tensor with one row for each input, got {got}")
    return BatchTensorDescriptor(*output.shape[1:], dtype=output.dtype)


def _differentiable(tensor: torch.Tensor) -> bool:
    return bool(tensor.is_floating_point() or tensor.is_complex())


def _differentiate(outputs: Any, grad_outputs: Any) -> None:
    pairs = [
        (output, grad.to(output.dtype))
        for output, grad in zip(nested_flatten(outputs), nested_flatten(grad_outputs), strict=True)
        if output.requires_grad
    ]
    if pairs:
        torch.autograd.backward([pair[0] for pair in pairs], [pair[1] for pair in pairs])


def _shape_of(nest: Any) -> str:
    return str(nested_map(lambda leaf: "…", nest)).replace("'", "")
