"""``onnxruntime``: an ONNX graph, run by ONNX Runtime.

Source: PyTorch documentation, "Export a PyTorch model to ONNX"; ONNX Runtime's Python API.
"""

from __future__ import annotations

import contextlib
import io
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

_FILE = "model.onnx"
_INLINE = 2**30
"""Weights up to this many bytes stand in the graph's own file, which may hold 2 GiB."""


class OnnxRuntimeTarget(Target):
    """ONNX Runtime on the CPU. ``options`` are entries of its session's configuration."""

    name: ClassVar[str] = "onnxruntime"
    frameworks: ClassVar[frozenset[str]] = frozenset({"torch"})
    supports_cache: ClassVar[bool] = True
    supports_threads: ClassVar[bool] = True

    def usable(self) -> str:
        return missing("onnxruntime")

    def compile(self, traceable: Traceable, folder: Path, settings: TargetSettings) -> None:
        torch = framework("torch")
        framework("onnxscript")  # which the exporter imports, with a poorer message
        program = torchlike.export(traceable, self.name)
        weights = sum(p.numel() * p.element_size() for p in traceable.call.parameters())
        with torchlike.quiet(), contextlib.redirect_stdout(io.StringIO()):
            try:
                torch.onnx.export(
                    program,
                    f=str(folder / _FILE),
                    input_names=list(traceable.inputs),
                    output_names=[f"out.{name}" for name in traceable.outputs],
                    dynamo=True,
                    external_data=weights > _INLINE,
                    verbose=False,
                )
            except Exception as error:
                raise torchlike.not_compiled(self.name, error) from error

    def load(
        self, folder: Path, program: Program, settings: TargetSettings, model: Any = None
    ) -> Runner:
        runtime = framework("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if settings.threads is not None:
            options.intra_op_num_threads = settings.threads
            options.inter_op_num_threads = 1
        for key, value in settings.options.items():
            options.add_session_config_entry(key, str(value))
        session = runtime.InferenceSession(
            str(folder / _FILE), options, providers=["CPUExecutionProvider"]
        )
        return _Session(session, program)

    def versions(self) -> Mapping[str, str]:
        return {"onnxruntime": version("onnxruntime")}

    def compiler_versions(self) -> Mapping[str, str]:
        return {name: version(name) for name in ("torch", "onnx", "onnxscript")}


class _Session(Runner):
    """A session. It leaves out inputs that the graph does not use."""

    def __init__(self, session: Any, program: Program) -> None:
        self._session = session
        self._names = [spec.name for spec in program.inputs]
        self._used = {item.name for item in session.get_inputs()}

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        feeds = {
            name: np.ascontiguousarray(value)
            for name, value in zip(self._names, inputs, strict=True)
            if name in self._used
        }
        found: Sequence[Any] = self._session.run(None, feeds)
        return found

    def close(self) -> None:
        self._session = None
