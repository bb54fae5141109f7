"""``torch``: the model as it is, not compiled. What other targets are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from foretell.frameworks import version

from foretell_accelerator.errors import CompileError
from foretell_accelerator.manifest import Program
from foretell_accelerator.targets.base import (
    Runner,
    Target,
    TargetSettings,
    Traceable,
    framework,
    missing,
)
from foretell_accelerator.targets.torchlike import TensorRunner, in_precision


class EagerTarget(Target):
    """Plain PyTorch. It makes no artifact: :meth:`attach` takes the model in this process."""

    name: ClassVar[str] = "torch"
    frameworks: ClassVar[frozenset[str]] = frozenset({"torch"})
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16", "fp16")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    supports_cache: ClassVar[bool] = True
    supports_threads: ClassVar[bool] = True
    extra: ClassVar[str] = "torch"

    def usable(self) -> str:
        return missing("torch")

    def attach(self, traceable: Traceable, settings: TargetSettings) -> Runner:
        """The model in this process, ready to run."""
        torch = framework("torch")
        module = in_precision(torch, traceable, settings.precision).to(settings.device)
        return TensorRunner(module, settings.device)

    def compile(self, traceable: Traceable, folder: Path, settings: TargetSettings) -> None:
        raise CompileError(
            "the target torch runs the model as it is and makes no artifact",
            tries=[("--set deployer.target=aot-inductor", "compiles it")],
        )

    def load(
        self, folder: Path, program: Program, settings: TargetSettings, model: Any = None
    ) -> Runner:
        raise CompileError("the target torch has no artifacts")

    def versions(self) -> Mapping[str, str]:
        return {"torch": version("torch")}

    def threads(self, count: int) -> None:
        framework("torch").set_num_threads(count)
