"""The contract of a target: what compiles a model, and what runs the result."""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from foretell import frameworks
from foretell.frameworks import version

from foretell_accelerator.manifest import Program


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """How to compile or run.

    Attributes:
        precision: One of the target's ``precisions``.
        device: ``cpu`` or ``cuda``; one of the target's ``devices``.
        threads: Threads inside one run; None leaves the number to the framework.
        options: Options of the target, passed to what compiles or runs.
    """

    precision: str = "fp32"
    device: str = "cpu"
    threads: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Traceable:
    """A model as targets are given it.

    Attributes:
        call: Takes the inputs by position, in the order of ``inputs``, and returns a tuple. A
            ``torch.nn.Module`` in evaluation mode, or a function of JAX arrays.
        model: The user's own model, for a target that must see it unwrapped.
        inputs: Name to example array.
        outputs: Names of what is returned.
    """

    call: Any
    model: Any
    inputs: Mapping[str, np.ndarray]
    outputs: tuple[str, ...]


class Runner(ABC):
    """A loaded program. Values may stay on the device between runs."""

    @abstractmethod
    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run once.

        Args:
            inputs: In the program's order; NumPy arrays, or values an earlier run returned.

        Returns:
            One value for each output, valid until this runner is closed.
        """

    def host(self, value: Any) -> np.ndarray:
        """What :meth:`run` returned as a NumPy array."""
        return np.asarray(value)

    def close(self) -> None:  # noqa: B027 - most runners hold nothing to free
        """Free the device."""


class Target(ABC):
    """Compiles models ahead of time and loads what it compiled.

    Constructed without arguments wherever it is named; constructing one must import no framework.
    """

    name: ClassVar[str]
    """What the user types."""

    frameworks: ClassVar[frozenset[str]]
    """Kinds of model it compiles: ``torch`` (an ``nn.Module``), ``jax`` (a function)."""

    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    """Precisions it computes in."""

    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """Devices it compiles for."""

    supports_cache: ClassVar[bool] = False
    """Whether a decoder's keys and values may be outputs of one run and inputs of the next."""

    supports_threads: ClassVar[bool] = False
    """Whether several threads may run one program at once."""

    needs_model: ClassVar[bool] = False
    """Whether loading needs the model itself beside the artifact."""

    extra: ClassVar[str] = "accelerator"
    """The extra of ``foretell`` that brings what it needs; "" for a target of another package."""

    @abstractmethod
    def usable(self) -> str:
        """Why it cannot be used on this machine, in one line; "" when it can. Imports little."""

    @abstractmethod
    def compile(self, traceable: Traceable, folder: Path, settings: TargetSettings) -> None:
        """Compile one program into an empty folder, which is all that :meth:`load` will have.

        Raises:
            CompileError: the model cannot be compiled.
        """

    @abstractmethod
    def load(
        self, folder: Path, program: Program, settings: TargetSettings, model: Any = None
    ) -> Runner:
        """Load a compiled program.

        Args:
            folder: What :meth:`compile` filled, checked.
            program: Its inputs and outputs.
            settings: As at compile time, but for the threads.
            model: The user's model where :attr:`needs_model`, None otherwise.
        """

    def versions(self) -> Mapping[str, str]:
        """Versions of what runs a program, which must be the same as at compile time."""
        return {}

    def compiler_versions(self) -> Mapping[str, str]:
        """Versions of what only compiles, for the record."""
        return {}

    def device_kind(self, device: str) -> str:
        """What programs for ``device`` are bound to: ``cpu x86_64``."""
        return f"{device} {platform.machine()}"

    def threads(self, count: int) -> None:  # noqa: B027 - most take the number when they load
        """Limit the calling thread's operations to ``count`` threads."""


def missing(*distributions: str) -> str:
    """Says which distributions are not installed, for :meth:`Target.usable`; "" for none."""
    absent = [name for name in distributions if not version(name)]
    return f"not installed: {', '.join(absent)}" if absent else ""


def framework(module: str, extra: str = "accelerator") -> Any:
    """Import a framework.

    Raises:
        LoadError: it is not installed; naming the extra.
    """
    return frameworks.framework(module, extra)
