"""A module on a CUDA device: copies run beside the computing, on streams of their own."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from foretell.abc.predictor import Predictor
from foretell.types import Batch

from foretell_torch.batches import map_leaves
from foretell_torch.deployer import TorchDeployment
from foretell_torch.settings import TorchDeployerOptions


@dataclass(frozen=True, slots=True)
class Flying:
    """A launched batch: pinned host tensors that are being filled, and the event that ends it.

    ``device`` keeps the tensors on the device alive until then.
    """

    host: Any
    done: Any
    device: Any


class CudaDeployment(TorchDeployment):
    """Inputs go through pinned memory on one stream, results come back on another.

    The compute stream waits for the inputs' copy by an event, the host only in ``collect``; so
    with several batches in flight both copies are hidden behind the computing.
    """

    max_in_flight = 3

    def __init__(
        self,
        torch: Any,
        options: TorchDeployerOptions,
        predictor: Predictor,
        module: Any,
        device: Any,
    ) -> None:
        super().__init__(torch, options, predictor, module, device, torch.get_num_threads())
        self._streams = threading.local()

    def launch(self, batch: Batch) -> Any:
        torch = self._torch
        with ExitStack() as stack:
            stack.enter_context(torch.cuda.device(self._device))
            self._enter(stack)
            upward, compute, downward = self._own_streams()
            with torch.cuda.stream(upward):
                moved = self._moved(batch)
                arrived = upward.record_event()
            with torch.cuda.stream(compute):
                compute.wait_event(arrived)
                self._mark(moved, compute)
                predictions = self._predict(moved)
                computed = compute.record_event()
            with torch.cuda.stream(downward):
                downward.wait_event(computed)
                self._mark(predictions, downward)
                host = map_leaves(predictions, self._pinned)
                done = downward.record_event()
        return Flying(host, done, (moved, predictions))

    def collect(self, handle: Any) -> Any:
        handle.done.synchronize()
        return super().collect(handle.host)

    def _own_streams(self) -> Any:
        found = getattr(self._streams, "three", None)
        if found is None:
            found = tuple(self._torch.cuda.Stream(self._device) for _ in range(3))
            # The weights were put there on the default stream.
            for stream in found:
                stream.wait_stream(self._torch.cuda.default_stream(self._device))
            self._streams.three = found
        return found

    def _sent(self, tensor: Any) -> Any:
        if tensor.device.type == "cpu":
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)

    def _mark(self, tree: Any, stream: Any) -> None:
        """Tell the allocator that a stream still uses these tensors."""

        def mark(leaf: Any) -> None:
            if self._torch.is_tensor(leaf) and leaf.is_cuda:
                leaf.record_stream(stream)

        if isinstance(tree, Batch):
            tree = tree.inputs
        map_leaves(tree, mark)

    def _pinned(self, leaf: Any) -> Any:
        """A copy in pinned memory, filled once the stream has come that far."""
        torch = self._torch
        if not torch.is_tensor(leaf) or not leaf.is_cuda:
            return leaf
        if leaf.dtype == torch.bfloat16:
            leaf = leaf.float()
        host = torch.empty(leaf.shape, dtype=leaf.dtype, pin_memory=True)
        return host.copy_(leaf, non_blocking=True)

    def _limit_threads(self) -> None:
        """The host only launches kernels."""

    def _free_cache(self) -> None:
        self._torch.cuda.empty_cache()
