"""From a model to an artifact: trace, rewrite, compile, try it out, seal."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from foretell.digest import hash_object
from foretell.errors import ConfigError

from foretell_accelerator import registry
from foretell_accelerator.artifact import Artifact, load
from foretell_accelerator.calibrate import differences
from foretell_accelerator.errors import CompileError
from foretell_accelerator.manifest import Manifest, Program, hash_files
from foretell_accelerator.models import Traced, framework_of, trace
from foretell_accelerator.rewriting import RewriteContext, rewritten
from foretell_accelerator.schema import ArraySpec, as_arrays
from foretell_accelerator.targets.base import Target, TargetSettings


@dataclass(slots=True)
class Counter:
    """Programs this process has compiled, and the seconds that took."""

    programs: int = 0
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, seconds: float) -> None:
        """Count one."""
        with self._lock:
            self.programs += 1
            self.seconds += seconds


COMPILED = Counter()
"""What was compiled in this process since it started."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One program to compile.

    Attributes:
        name: Unique in the artifact.
        model: A module or JAX function.
        inputs: Name to example array, of the compiled shapes.
        role, length: See :class:`~foretell_accelerator.manifest.Program`.
        source: The user's own model where ``model`` wraps it: what rewrites change.
    """

    name: str
    model: Any
    inputs: Mapping[str, np.ndarray]
    role: str = "main"
    length: int = 0
    source: Any = None

    @property
    def own(self) -> Any:
        """The user's own model."""
        return self.model if self.source is None else self.source


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to compile.

    Attributes:
        target, precision, device, options, rewrites: As the user set them.
        fingerprint: Parts that identify the model.
        decoder: What text generation must know, for the manifest.
        extras: Files to put beside the programs: relative name to file or folder.
    """

    target: str
    precision: str = "fp32"
    device: str = "cpu"
    options: Mapping[str, Any] = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    decoder: Mapping[str, Any] | None = None
    extras: Mapping[str, Path] = field(default_factory=dict)


def compile(
    model: Any,
    example_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    output_dir: Path | str,
    name: str = "model",
    target: str = "aot-inductor",
    *,
    precision: str = "fp32",
    device: str | None = None,
    rewrites: Sequence[str] = (),
    fingerprint: Mapping[str, str] | None = None,
    **options: Any,
) -> Artifact:
    """Compile a model ahead of time into ``output_dir/name``.

    Args:
        model: A ``torch.nn.Module``, or a function of JAX arrays; called with its inputs by name.
        example_inputs: Input name to array, of the shapes to compile for; several of these for
            several shapes. They are the calibration batch too.
        output_dir: Where the artifact's folder is made.
        name: Of the artifact.
        target: Of a registered target: ``aot-inductor``, ``openvino``, ``onnxruntime``,
            ``jax-export``, ``sambaflow`` or somebody else's.
        precision: ``fp32``, ``bf16`` or ``fp16``; what it costs is measured and recorded.
        device: ``cpu`` or ``cuda``; the target's first by default.
        rewrites: Names of rewrites to apply before, undone afterwards.
        fingerprint: Parts that identify the model; a hash of it by default.
        options: Options of the target.

    Returns:
        The artifact, loaded; its folder is ``.path``.

    Raises:
        CompileError: the target does not take such a model or precision, or cannot compile it.
    """
    several = [example_inputs] if isinstance(example_inputs, Mapping) else list(example_inputs)
    if not several:
        raise ConfigError("there are no example inputs to compile for")
    planned = [
        Planned("main" if len(several) == 1 else f"main-{i}", model, as_arrays(inputs))
        for i, inputs in enumerate(several)
    ]
    recipe = Recipe(
        target,
        precision,
        device or registry.target(target).devices[0],
        options,
        tuple(rewrites),
        _identity(model) if fingerprint is None else dict(fingerprint),
    )
    folder = Path(output_dir) / name
    build(planned, folder, name, recipe)
    return load(folder, model=model)


def _identity(model: Any) -> dict[str, str]:
    try:
        return {"model": hash_object(model)}
    except ConfigError:  # it closes over something that has no hash; the artifact's own is left
        return {}


def check_recipe(model: Any, recipe: Recipe) -> Target:
    """The target of a recipe, if it can do what is asked.

    Raises:
        CompileError: it is not usable here, or not for such a model, precision or device.
        UnknownPlugin: there is no such target.
    """
    target = registry.target(recipe.target)
    kind = framework_of(model)
    if kind not in target.frameworks:
        raise CompileError(
            f"the target {target.name} compiles no {kind} models",
            facts=[
                ("model", type(model).__name__),
                ("compiles", ", ".join(sorted(target.frameworks))),
            ],
            tries=[(f'target = "{name}"', "") for name in registry.fitting(kind)],
            slug="compile-framework",
        )
    for field_name, wanted, known in (
        ("precision", recipe.precision, target.precisions),
        ("device", recipe.device, target.devices),
    ):
        if wanted not in known:
            raise CompileError(
                f"the target {target.name} has no {field_name} {wanted}",
                facts=[("known", ", ".join(known))],
                slug=f"compile-{field_name}",
            )
    if reason := target.usable():
        raise CompileError(
            f"the target {target.name} cannot be used here",
            facts=[("because", reason)],
            tries=[(f"pip install 'foretell[{target.extra}]'", "")] if target.extra else [],
            slug="compile-target",
        )
    return target


def build(planned: Sequence[Planned], folder: Path, name: str, recipe: Recipe) -> Manifest:
    """Compile programs into a folder that appears when all is done, or not at all.

    Raises:
        CompileError: see :func:`compile`; or the folder is there already.
    """
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise CompileError(
            "the artifact's folder is not empty",
            facts=[("folder", str(folder))],
            tries=[("another folder", "or remove it first")],
            slug="compile-folder",
        )
    target = check_recipe(planned[0].model, recipe)
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        manifest = _build(planned, stage, name, recipe, target)
        stage.chmod(0o755)
        os.replace(stage, folder)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    return manifest


def _build(
    planned: Sequence[Planned], stage: Path, name: str, recipe: Recipe, target: Target
) -> Manifest:
    settings = TargetSettings(recipe.precision, recipe.device, None, recipe.options)
    context = RewriteContext(
        target.name,
        tuple(sorted({_rows(p.inputs) or 0 for p in planned})),
        tuple(sorted({p.length for p in planned if p.length})),
    )
    programs, calibration = [], {}
    for plan in planned:
        # What the user's own model says is the measure; the rewritten one is only compiled.
        traced = trace(plan.model, plan.inputs, plan.own)
        program = program_of(plan, traced)
        with rewritten(plan.own, recipe.rewrites, context):
            _compile(target, traced, program, stage, settings)
            calibration[plan.name] = _tried(target, traced, program, stage, settings)
        programs.append(program)
    for relative, source in recipe.extras.items():
        (shutil.copytree if source.is_dir() else shutil.copy)(source, stage / relative)
    manifest = Manifest(
        name=name,
        target=target.name,
        precision=recipe.precision,
        device=target.device_kind(recipe.device),
        options=dict(recipe.options),
        versions=dict(target.versions()),
        compiler=dict(target.compiler_versions()),
        fingerprint=dict(recipe.fingerprint),
        rewrites=recipe.rewrites,
        programs=tuple(programs),
        calibration=calibration,
        decoder=recipe.decoder,
        files=hash_files(stage),
    ).sealed()
    manifest.write(stage)
    return manifest


def program_of(plan: Planned, traced: Traced) -> Program:
    """A planned program as the manifest describes it."""
    inputs = tuple(ArraySpec.of(name, array) for name, array in plan.inputs.items())
    rows = _rows(plan.inputs)
    if any(not spec.shape or spec.shape[0] != rows for spec in traced.outputs):
        rows = None
    return Program(
        plan.name, inputs, traced.outputs, plan.role, rows, plan.length, traced.structure
    )


def _rows(inputs: Mapping[str, np.ndarray]) -> int | None:
    """Length of the axis 0 that all inputs share; None when they do not."""
    lengths = {array.shape[0] if array.ndim else -1 for array in inputs.values()}
    only = next(iter(lengths), -1)
    return only if len(lengths) == 1 and only > 0 else None


def _compile(
    target: Target, traced: Traced, program: Program, stage: Path, settings: TargetSettings
) -> None:
    clock = time.perf_counter()
    (stage / program.name).mkdir()
    target.compile(traced.traceable, stage / program.name, settings)
    COMPILED.add(time.perf_counter() - clock)


def _tried(
    target: Target, traced: Traced, program: Program, stage: Path, settings: TargetSettings
) -> dict[str, Any]:
    """Load what was compiled, run it on the example inputs, and compare."""
    model = traced.traceable.model if target.needs_model else None
    runner = target.load(stage / program.name, program, settings, model)
    try:
        values = runner.run(list(traced.traceable.inputs.values()))
        arrays = [runner.host(value) for value in values]
    finally:
        runner.close()
    for spec, array in zip(program.outputs, arrays, strict=False):
        got = ArraySpec.of(spec.name, array)
        if got != spec:
            raise CompileError(
                "the compiled program gives another output than the model",
                facts=[
                    ("target", target.name),
                    ("output", spec.name),
                    ("expected", spec.describe()),
                    ("got", got.describe()),
                ],
                slug="compile-output",
            )
    return differences(program.outputs, traced.values, arrays)
