"""``aot-inductor``: ``torch.export``, then AOTInductor's compiled code in a ``.pt2`` package.

Compiling calls a C++ compiler (``CXX``, or ``g++``); running needs PyTorch of the same version and
a processor with the same vector instructions.

Source: PyTorch documentation, "AOTInductor: Ahead-Of-Time Compilation for Torch.Export-ed Models".
"""

from __future__ import annotations

import os
import shutil
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

_FILE = "model.pt2"


class AotInductorTarget(Target):
    """Machine code for this processor or CUDA device. ``options`` are AOTInductor's settings."""

    name: ClassVar[str] = "aot-inductor"
    frameworks: ClassVar[frozenset[str]] = frozenset({"torch"})
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    supports_cache: ClassVar[bool] = True

    def usable(self) -> str:
        return missing("torch") or _no_compiler()

    def compile(self, traceable: Traceable, folder: Path, settings: TargetSettings) -> None:
        torch = framework("torch")
        if reason := _no_compiler():
            raise torchlike.not_compiled(self.name, FileNotFoundError(reason))
        inductor = framework("torch._inductor")
        module = torchlike.in_precision(torch, traceable, settings.precision)
        cast = Traceable(module, traceable.model, traceable.inputs, traceable.outputs)
        program = torchlike.export(cast, self.name, settings.device)
        with torch.no_grad(), torchlike.quiet():
            try:
                inductor.aoti_compile_and_package(
                    program,
                    package_path=str(folder / _FILE),
                    inductor_configs=dict(settings.options),
                )
            except Exception as error:
                raise torchlike.not_compiled(self.name, error) from error

    def load(
        self, folder: Path, program: Program, settings: TargetSettings, model: Any = None
    ) -> Runner:
        inductor = framework("torch._inductor")
        with torchlike.quiet():
            compiled = inductor.aoti_load_package(str(folder / _FILE))
        return _Package(compiled, settings.device)

    def versions(self) -> Mapping[str, str]:
        return {"torch": version("torch")}

    def device_kind(self, device: str) -> str:
        """The processor's vector instructions, or the CUDA device's name."""
        torch = framework("torch")
        if device == "cuda":
            return f"cuda {torch.cuda.get_device_name()}"
        return f"{super().device_kind(device)} {torch.backends.cpu.get_cpu_capability()}"

    def threads(self, count: int) -> None:
        framework("torch").set_num_threads(count)


class _Package(torchlike.TensorRunner):
    """A loaded package; its outputs are its own buffers only until it runs again."""

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        contiguous = [
            np.ascontiguousarray(v) if isinstance(v, np.ndarray) else v.contiguous() for v in inputs
        ]
        return super().run(contiguous)


def _no_compiler() -> str:
    wanted = os.environ.get("CXX", "g++")
    if shutil.which(wanted):
        return ""
    return f"no C++ compiler: {wanted} is not on PATH (install g++, or set CXX)"
