"""``jax-export``: StableHLO of a JAX function, serialised; XLA compiles it when it is loaded.

The function's parameters are what it closes over, so the artifact holds them too.

Source: JAX documentation, "Exporting and serializing staged-out computations".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from foretell.frameworks import version

from foretell_accelerator.manifest import Program
from foretell_accelerator.targets.base import (
    Runner,
    Target,
    TargetSettings,
    Traceable,
    framework,
    missing,
)
from foretell_accelerator.targets.torchlike import not_compiled

_FILE = "model.stablehlo"


class JaxExportTarget(Target):
    """XLA on JAX's default device. It has no options."""

    name: ClassVar[str] = "jax-export"
    frameworks: ClassVar[frozenset[str]] = frozenset({"jax"})
    supports_cache: ClassVar[bool] = True
    supports_threads: ClassVar[bool] = True
    extra: ClassVar[str] = "accelerator,jax"

    def usable(self) -> str:
        return missing("jax", "jaxlib", "flatbuffers")

    def compile(self, traceable: Traceable, folder: Path, settings: TargetSettings) -> None:
        jax = framework("jax")
        exporting = framework("jax.export")
        shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in traceable.inputs.values()]
        try:
            with _wide(jax, traceable.inputs.values()):
                exported = exporting.export(jax.jit(traceable.call))(*shapes)
                data = exported.serialize()
        except Exception as error:
            raise not_compiled(self.name, error) from error
        (folder / _FILE).write_bytes(bytes(data))

    def load(
        self, folder: Path, program: Program, settings: TargetSettings, model: Any = None
    ) -> Runner:
        jax = framework("jax")
        exported = framework("jax.export").deserialize(bytearray((folder / _FILE).read_bytes()))
        return _Exported(jax, jax.jit(exported.call), program)

    def versions(self) -> Mapping[str, str]:
        return {name: version(name) for name in ("jax", "jaxlib")}

    def device_kind(self, device: str) -> str:
        """JAX's default platform."""
        return f"{framework('jax').default_backend()} jax"


class _Exported(Runner):
    """A deserialised program under jit: compiled by XLA at its first run."""

    def __init__(self, jax: Any, call: Any, program: Program) -> None:
        self._jax = jax
        self._call = call
        self._specs = program.inputs

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        with _wide(self._jax, self._specs):
            return tuple(self._call(*inputs))

    def host(self, value: Any) -> np.ndarray:
        return np.array(value)

    def close(self) -> None:
        self._call = None


def _wide(jax: Any, arrays: Any) -> Any:
    """Inputs of 64 bits stay so: JAX narrows them otherwise, and the schema would not hold."""
    wide = any(np.dtype(array.dtype).itemsize == 8 for array in arrays)
    return jax.enable_x64(wide)
