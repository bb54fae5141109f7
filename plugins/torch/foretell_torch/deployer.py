"""``kind = "torch"``: a module on this process's CPU cores or on a CUDA device."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from foretell.abc.deployer import DeployContext, Deployer, Deployment
from foretell.abc.predictor import Predictor
from foretell.errors import ForetellError, LoadError
from foretell.types import JSON, Batch

from foretell_torch import frameworks
from foretell_torch.batches import map_leaves, to_array
from foretell_torch.settings import TorchDeployerOptions

MOST_SLOTS = 16

_SAYS_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


class TorchDeployer(Deployer):
    """Puts a module on one device of the worker: its own cores, or one CUDA device."""

    Options = TorchDeployerOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"torch"})
    supports_async: ClassVar[bool] = True

    def __init__(self, options: TorchDeployerOptions) -> None:
        self.options = options

    def slots(self, cpus: int) -> int:
        if self.options.slots is not None:
            return self.options.slots
        return 1 if self._expects_cuda() else max(1, min(cpus, MOST_SLOTS))

    def threads(self, cpus: int, slots: int) -> int:
        return self.options.threads or 1

    def _expects_cuda(self) -> bool:
        """Whether workers will use CUDA, judged without importing PyTorch."""
        if self.options.device != "auto":
            return self.options.device.startswith("cuda")
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
        return not hidden and os.path.exists("/dev/nvidiactl")

    def deploy(self, predictor: Predictor, context: DeployContext) -> Deployment:
        """Load the module and put it on its device.

        Raises:
            LoadError: it cannot be loaded, does not fit, or the device is not there.
        """
        torch = frameworks.torch()
        device = choose_device(torch, self.options.device, context.worker)
        try:
            module = predictor.load()
            module = self._placed(torch, module, device)
        except ForetellError:
            raise
        except Exception as error:
            raise LoadError(
                "the model could not be loaded",
                facts=[("device", str(device)), ("cause", f"{type(error).__name__}: {error}")],
            ) from error
        if device.type == "cuda":
            from foretell_torch.cuda import CudaDeployment

            return CudaDeployment(torch, self.options, predictor, module, device)
        return TorchDeployment(torch, self.options, predictor, module, device, context.threads)

    def _placed(self, torch: Any, module: Any, device: Any) -> Any:
        options = self.options
        module = module.to(device)
        true = {"bf16-true": torch.bfloat16, "fp16-true": torch.float16}.get(options.precision)
        if true is not None:
            module = module.to(true)
        if options.channels_last:
            module = module.to(memory_format=torch.channels_last)
        if options.compile:
            # In place, so that the module keeps its class, its hooks and its predict_step.
            module.compile(
                mode=options.compile_mode, backend=options.compile_backend, dynamic=False
            )
        return module


def choose_device(torch: Any, setting: str, worker: int) -> Any:
    """The device of worker ``worker``.

    Raises:
        LoadError: CUDA is asked for and not there.
    """
    if setting == "cpu" or (setting == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    _, _, number = setting.partition(":")
    if count == 0 or (number and int(number) >= count):
        raise LoadError(
            f"there is no device {setting}",
            facts=[("devices", ", ".join(f"cuda:{i}" for i in range(count)) or "cpu")],
            tries=[("--set deployer.device=auto", "what is there")],
            slug="load-device",
        )
    return torch.device("cuda", int(number) if number else worker % count)


class TorchDeployment(Deployment):
    """A module on the CPU. ``launch`` computes; ``collect`` hands over the arrays.

    Args:
        torch: The module ``torch``.
        options: Settings of the deployer.
        predictor: What knows how to call the module.
        module: On its device.
        device: Which.
        threads: Threads inside one operation.
    """

    max_in_flight = 1

    def __init__(
        self,
        torch: Any,
        options: TorchDeployerOptions,
        predictor: Predictor,
        module: Any,
        device: Any,
        threads: int,
    ) -> None:
        self._torch = torch
        self._options = options
        self._predictor = predictor
        self._module = module
        self._device = device
        self._threads = threads
        self._before = torch.get_num_threads()
        self._limited = threading.local()
        self._lock = threading.Lock()
        self._started = False
        self._batches = 0
        self._out_of_memory = 0
        self.any_batch_size = not options.compile  # compiled shapes are fixed

    def launch(self, batch: Batch) -> Any:
        self._limit_threads()
        with ExitStack() as stack:
            self._enter(stack)
            return self._predict(self._moved(batch))

    def collect(self, handle: Any) -> Any:
        return map_leaves(handle, lambda leaf: to_array(self._torch, leaf))

    def devices(self) -> Sequence[str]:
        return [str(self._device)]

    def stats(self) -> Mapping[str, JSON]:
        return {
            "batches": self._batches,
            "precision": self._options.precision,
            "threads": self._threads,
            "out_of_memory": self._out_of_memory,
        }

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Memory errors of Python, PyTorch's own, and those its libraries only tell by text."""
        named = isinstance(error, MemoryError | self._torch.OutOfMemoryError)
        told = isinstance(error, RuntimeError) and any(
            phrase in str(error) for phrase in _SAYS_OUT_OF_MEMORY
        )
        if named or told:
            self._out_of_memory += 1
            self._free_cache()
        return named or told

    def close(self) -> None:
        with self._lock:
            module, self._module = self._module, None
        if module is None:
            return
        if self._started:
            getattr(self._predictor, "ended", _nothing)(module)
        del module
        self._free_cache()
        self._torch.set_num_threads(self._before)

    # --- steps ----------------------------------------------------------------------------------

    def _enter(self, stack: ExitStack) -> None:
        stack.enter_context(self._torch.inference_mode())
        stack.enter_context(self._autocast())
        with self._lock:
            if not self._started:
                getattr(self._predictor, "started", _nothing)(self._module)
                self._started = True

    def _autocast(self) -> AbstractContextManager[Any]:
        dtype = {"bf16": self._torch.bfloat16, "fp16": self._torch.float16}.get(
            self._options.precision
        )
        if dtype is None:
            return nullcontext()
        found: AbstractContextManager[Any] = self._torch.autocast(self._device.type, dtype)
        return found

    def _predict(self, batch: Batch) -> Any:
        predictions = self._predictor.predict(self._module, batch)
        with self._lock:
            self._batches += 1
        return predictions

    def _moved(self, batch: Batch) -> Batch:
        """The batch with its inputs on the device; copied, for a module may write into them."""
        return replace(batch, inputs=map_leaves_kept(batch.inputs, self._to_device))

    def _to_device(self, leaf: Any) -> Any:
        torch = self._torch
        if isinstance(leaf, np.ndarray):
            if leaf.dtype.kind not in "biufc":
                return leaf
            tensor = torch.tensor(leaf.astype(leaf.dtype.newbyteorder("="), copy=False))
        elif torch.is_tensor(leaf):
            tensor = leaf.clone() if leaf.device == self._device else leaf
        else:
            return leaf
        return self._sent(self._shaped(tensor))

    def _shaped(self, tensor: Any) -> Any:
        torch = self._torch
        true = {"bf16-true": torch.bfloat16, "fp16-true": torch.float16}.get(
            self._options.precision
        )
        if true is not None and tensor.is_floating_point():
            tensor = tensor.to(true)
        if self._options.channels_last and tensor.dim() == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def _sent(self, tensor: Any) -> Any:
        return tensor.to(self._device)

    def _limit_threads(self) -> None:
        """Limit the threads of an operation: PyTorch keeps the number for each calling thread."""
        if not getattr(self._limited, "done", False):
            self._torch.set_num_threads(self._threads)
            self._limited.done = True

    def _free_cache(self) -> None:
        """Give memory back that PyTorch keeps; the CPU's allocator keeps none."""


def _nothing(module: Any) -> None:
    """What a predictor without the hooks does."""


def map_leaves_kept(tree: Any, function: Any) -> Any:
    """:func:`map_leaves` that keeps the containers of inputs as they are."""
    if isinstance(tree, Mapping):
        return {key: map_leaves_kept(value, function) for key, value in tree.items()}
    if isinstance(tree, tuple):
        parts = [map_leaves_kept(value, function) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    if isinstance(tree, list):
        return [map_leaves_kept(value, function) for value in tree]
    return function(tree)
