"""``openvino``: OpenVINO's intermediate representation, compiled for the processor when loaded.

OpenVINO picks bfloat16 by itself on processors that have it; the precision hint is always set, so
that ``fp32`` means fp32.

Source: OpenVINO documentation, "Converting a PyTorch Model" and "Precision Control".
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from foretell.frameworks import version

from foretell_accelerator.manifest import Program
from foretell_accelerator.targets import torchlike
from foretell_accelerator.targets.base import (
    Runner,
    Target,
    TargetSettings,
    Traceable,
    framework,
    missing,
)

_FILE = "model.xml"
_TELEMETRY = "openvino_telemetry"
_IMPORTING = threading.Lock()
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class OpenVinoTarget(Target):
    """Intel's runtime on the CPU. ``options`` are properties of the compiled model."""

    name: ClassVar[str] = "openvino"
    frameworks: ClassVar[frozenset[str]] = frozenset({"torch"})
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16", "fp16")
    supports_cache: ClassVar[bool] = True
    supports_threads: ClassVar[bool] = True

    def usable(self) -> str:
        return missing("openvino")

    def compile(self, traceable: Traceable, folder: Path, settings: TargetSettings) -> None:
        openvino = _openvino()
        program = torchlike.export(traceable, self.name)
        with torchlike.quiet():
            try:
                model = openvino.convert_model(program)
                openvino.save_model(model, folder / _FILE, compress_to_fp16=False)
            except Exception as error:
                raise torchlike.not_compiled(self.name, error) from error

    def load(
        self, folder: Path, program: Program, settings: TargetSettings, model: Any = None
    ) -> Runner:
        openvino = _openvino()
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[settings.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if settings.threads is not None:
            config["INFERENCE_NUM_THREADS"] = settings.threads
        config |= settings.options
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(folder / _FILE), "CPU", config)
        return _Compiled(openvino, compiled, program)

    def versions(self) -> Mapping[str, str]:
        return {"openvino": version("openvino")}

    def compiler_versions(self) -> Mapping[str, str]:
        return {"torch": version("torch")}


def _openvino() -> Any:
    """The module, its converter without the telemetry.

    That would send figures about every conversion to its makers, from a fork of this process. The
    converter goes without where ``openvino_telemetry`` cannot be imported, so it cannot meanwhile.
    A process that imported the converter before has made its own choice.

    Raises:
        LoadError: OpenVINO is not installed.
    """
    with _IMPORTING:
        hidden = _TELEMETRY not in sys.modules
        if hidden:
            sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
        try:
            framework("openvino.tools.ovc.convert_impl")
        finally:
            if hidden:
                del sys.modules[_TELEMETRY]
    return framework("openvino")


class _Compiled(Runner):
    """A compiled model; every run has a request of its own, so that outputs stay valid."""

    def __init__(self, openvino: Any, compiled: Any, program: Program) -> None:
        self._openvino = openvino
        self._compiled = compiled
        self._dtypes = [np.dtype(spec.dtype) for spec in program.outputs]

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        request = self._compiled.create_infer_request()
        for position, value in enumerate(inputs):
            request.set_input_tensor(position, self._tensor(value))
        request.infer()
        # A tensor keeps its request's memory alive; no other run writes into it.
        return [
            _Kept(request, request.get_output_tensor(position), dtype)
            for position, dtype in enumerate(self._dtypes)
        ]

    def _tensor(self, value: Any) -> Any:
        if isinstance(value, _Kept):
            return value.tensor
        array = np.ascontiguousarray(value)
        # Only memory that may be written can be shared, although nothing writes there.
        return self._openvino.Tensor(array, shared_memory=bool(array.flags.writeable))

    def host(self, value: Any) -> np.ndarray:
        return np.array(value.tensor.data).astype(value.dtype, copy=False)

    def close(self) -> None:
        self._compiled = None


class _Kept:
    """An output tensor, the request that owns it, and the dtype the eager model gives."""

    __slots__ = ("dtype", "request", "tensor")

    def __init__(self, request: Any, tensor: Any, dtype: np.dtype) -> None:
        self.request = request
        self.tensor = tensor
        self.dtype = dtype
