"""What the targets for PyTorch models share: tensors, tracing, precision."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from foretell_accelerator.errors import CompileError
from foretell_accelerator.targets.base import Runner, Traceable, framework


def to_tensor(torch: Any, value: Any, device: str = "cpu") -> Any:
    """A tensor on the device; arrays that may not be written are copied."""
    if torch.is_tensor(value):
        return value.to(device)
    array = np.asarray(value)
    tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    return tensor.to(device)


def from_tensor(torch: Any, value: Any) -> np.ndarray:
    """A tensor as an array of its own."""
    array: np.ndarray = value.detach().cpu().numpy()
    return array


def export(traceable: Traceable, target: str, device: str = "cpu") -> Any:
    """The model as a ``torch.export.ExportedProgram`` of the example inputs' shapes.

    Raises:
        CompileError: PyTorch cannot trace it.
    """
    torch = framework("torch")
    tensors = tuple(to_tensor(torch, array, device) for array in traceable.inputs.values())
    with torch.no_grad(), quiet():
        try:
            return torch.export.export(traceable.call.to(device), tensors, strict=False)
        except Exception as error:
            raise not_compiled(target, error) from error


def not_compiled(target: str, error: BaseException) -> CompileError:
    """The error of a compiler, told in a line; all of it is the cause."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return CompileError(
        f"the model cannot be compiled for {target}",
        facts=[("cause", f"{type(error).__name__}: {text[:300]}")],
        slug="compile",
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Compilers warn of their own future; what they cannot do they raise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def in_precision(torch: Any, traceable: Traceable, precision: str) -> Any:
    """The module computing in ``precision``: weights and floats cast, floating outputs cast back.

    Returns:
        The module itself for ``fp32``; a wrapper around a cast copy of it otherwise.
    """
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    return traceable.call if dtype is None else _cast(torch, traceable.call, dtype)


def _cast(torch: Any, module: Any, dtype: Any) -> Any:
    import copy

    class Cast(torch.nn.Module):  # type: ignore[misc]
        """A module of another precision between float32 inputs and outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.module = copy.deepcopy(module).to(dtype)

        def forward(self, *tensors: Any) -> Any:
            lowered = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
            return tuple(t.float() if t.is_floating_point() else t for t in self.module(*lowered))

    return Cast().eval()


class TensorRunner(Runner):
    """Runs something that takes tensors by position and returns a sequence of them.

    Args:
        call: What to call.
        device: Where its inputs must be.
    """

    def __init__(self, call: Any, device: str = "cpu") -> None:
        self._torch = framework("torch")
        self._call = call
        self._device = device

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        torch = self._torch
        with torch.no_grad():
            found = self._call(*(to_tensor(torch, value, self._device) for value in inputs))
        return (found,) if torch.is_tensor(found) else tuple(found)

    def host(self, value: Any) -> np.ndarray:
        return from_tensor(self._torch, value)

    def close(self) -> None:
        self._call = None
