"""A compiled model: a folder with programs and a manifest, loaded and run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from foretell.errors import ConfigError

from foretell_accelerator import registry
from foretell_accelerator.errors import ArtifactError, InputError, refused
from foretell_accelerator.manifest import Manifest, Program, read_manifest, verify_files
from foretell_accelerator.schema import as_arrays, check_array, check_names
from foretell_accelerator.targets.base import Runner, Target, TargetSettings

_ANEW = [("sdk compile JOB.toml --artifact DIR", "compiles it for this machine and model")]


class Artifact:
    """Runs compiled programs. Made by :func:`load` and :func:`foretell_accelerator.compile`.

    Args:
        path: Its folder; None for a model that runs as it is.
        manifest: What it is.
        target: What runs it.
        settings: How.
        loader: Loads one program.
    """

    def __init__(
        self,
        path: Path | None,
        manifest: Manifest,
        target: Target,
        settings: TargetSettings,
        loader: Callable[[Program], Runner],
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.target = target
        self.settings = settings
        self._loader = loader
        self._runners: dict[str, Runner] = {}
        self._loading = threading.Lock()
        self._limited = threading.local()
        self._turns: dict[str, threading.Lock] = {}

    @property
    def programs(self) -> tuple[Program, ...]:
        """Its compiled programs."""
        return self.manifest.programs

    def run(self, **arrays: Any) -> dict[str, np.ndarray]:
        """Run the program that was compiled for exactly these shapes.

        Args:
            arrays: Every input by name, of the compiled shape and dtype.

        Returns:
            Output name to array.

        Raises:
            InputError: an input is missing, unknown, or of another shape or dtype; nothing ran.
        """
        given = as_arrays(arrays)
        return self.call(self._exact(given), given)

    def rows(self, **arrays: Any) -> dict[str, np.ndarray]:
        """Run any number of rows: in pieces of a compiled batch size, the last one filled up.

        The filler repeats the piece's first row, and its outputs are dropped.

        Raises:
            InputError: as :meth:`run`, but for the number of rows; or the programs have no row axis
                in common, so that nothing can be filled up.
        """
        given = as_arrays(arrays)
        count = _count(given)
        pieces: list[dict[str, np.ndarray]] = []
        start = 0
        while start < count or not pieces:
            program = self._fitting(given, count - start)
            size = program.rows or 0
            stop = min(start + size, count)
            index = np.zeros(size, dtype=np.int64)
            index[: stop - start] = np.arange(start, stop)
            index[stop - start :] = start
            if count == 0:
                raise InputError("there are no rows to run", facts=[("rows", "0")])
            outputs = self.call(program, {name: a[index] for name, a in given.items()})
            pieces.append({name: a[: stop - start] for name, a in outputs.items()})
            start = stop
        if len(pieces) == 1:
            return pieces[0]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def call(self, program: Program, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run one program on checked arrays."""
        values = self.launch(program, [arrays[spec.name] for spec in program.inputs])
        runner = self.runner(program)
        return {
            spec.name: runner.host(value)
            for spec, value in zip(program.outputs, values, strict=True)
        }

    def launch(self, program: Program, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run one program and leave its outputs where they are. Safe from several threads."""
        runner = self.runner(program)
        self._limit_threads()
        with self._turn(program):
            return runner.run(inputs)

    def runner(self, program: Program) -> Runner:
        """The loaded program; loaded when first wanted."""
        with self._loading:
            found = self._runners.get(program.name)
            if found is None:
                self._limit_threads()
                found = self._runners[program.name] = self._loader(program)
                self._turns[program.name] = threading.Lock()
            return found

    def close(self) -> None:
        """Free every loaded program."""
        with self._loading:
            for runner in self._runners.values():
                runner.close()
            self._runners.clear()

    @contextmanager
    def _turn(self, program: Program) -> Iterator[None]:
        free = self.target.supports_threads
        with nullcontext() if free else self._turns[program.name]:
            yield

    def _limit_threads(self) -> None:
        if self.settings.threads is not None and not getattr(self._limited, "done", False):
            self.target.threads(self.settings.threads)
            self._limited.done = True

    def _exact(self, given: Mapping[str, np.ndarray]) -> Program:
        for program in self.programs:
            wanted = {spec.name: (spec.shape, spec.dtype) for spec in program.inputs}
            if wanted == {name: (a.shape, str(a.dtype)) for name, a in given.items()}:
                return program
        nearest = self.programs[0]
        check_names(nearest.inputs, given)
        for spec in nearest.inputs:
            check_array(spec, given[spec.name])
        raise InputError("no program was compiled for these inputs")

    def _fitting(self, given: Mapping[str, np.ndarray], rows: int) -> Program:
        """The smallest compiled batch that holds ``rows``, or the largest there is."""
        candidates = [p for p in self.programs if p.rows is not None and _fits(p, given)]
        if not candidates:
            nearest = next((p for p in self.programs if p.rows is not None), None)
            if nearest is None:
                raise InputError("the programs of this artifact share no row axis; call run()")
            check_names(nearest.inputs, given)
            for spec in nearest.inputs:
                check_array(spec, given[spec.name], rows=True)
        candidates.sort(key=lambda program: program.rows or 0)
        return next((p for p in candidates if (p.rows or 0) >= rows), candidates[-1])


def _fits(program: Program, given: Mapping[str, np.ndarray]) -> bool:
    wanted = {spec.name: (spec.shape[1:], spec.dtype) for spec in program.inputs}
    return wanted == {name: (a.shape[1:], str(a.dtype)) for name, a in given.items()}


def _count(given: Mapping[str, np.ndarray]) -> int:
    lengths = {name: len(array) if array.ndim else -1 for name, array in given.items()}
    if len(set(lengths.values())) != 1 or -1 in lengths.values():
        told = ", ".join(f"{name}: {n if n >= 0 else 'none'}" for name, n in lengths.items())
        raise InputError("the inputs have not one number of rows", facts=[("rows", told or "none")])
    return next(iter(lengths.values()))


def load(
    path: Path | str,
    *,
    threads: int | None = None,
    model: Any = None,
    fingerprint: Mapping[str, str] | None = None,
    device: str | None = None,
) -> Artifact:
    """Open an artifact. Nothing of the model's source is needed, where the target allows that.

    An artifact is a program: open only what you trust.

    Args:
        path: Its folder.
        threads: Threads inside one run; the framework's own choice when absent.
        model: The model itself, for the targets that need it (``sambaflow``).
        fingerprint: Parts that identify the model it should be of.
        device: ``cpu`` or ``cuda``; refused when it was compiled for another one.

    Raises:
        ArtifactError: it is missing, damaged, of another model, version or device: naming which.
        UnknownPlugin: its target is not registered here.
    """
    folder = Path(path).absolute()
    manifest = read_manifest(folder)
    target = registry.target(manifest.target)
    check_manifest(folder, manifest, target, fingerprint=fingerprint, device=device)
    verify_files(folder, manifest)
    if target.needs_model and model is None:
        raise ArtifactError(
            f"the target {target.name} needs the model itself to run its artifact",
            facts=[("artifact", str(folder))],
            tries=[("load(path, model=model)", "or name the model in the job")],
            slug="artifact-model",
        )
    settings = TargetSettings(
        manifest.precision, manifest.device.split()[0], threads, manifest.options
    )
    return Artifact(
        folder,
        manifest,
        target,
        settings,
        lambda program: target.load(folder / program.name, program, settings, model),
    )


def check_manifest(
    folder: Path,
    manifest: Manifest,
    target: Target,
    *,
    fingerprint: Mapping[str, str] | None = None,
    device: str | None = None,
) -> None:
    """Refuse an artifact that was not made for this model, these versions and this device.

    Raises:
        ArtifactError: naming the field, what is needed here and what the artifact has.
    """
    check_usable(folder, manifest, target, fingerprint)
    made_for = manifest.device.split()[0]
    if device is not None and device != made_for:
        raise refused("device", device, made_for, str(folder), _ANEW)
    here = target.device_kind(made_for)
    if here != manifest.device:
        raise refused("device", here, manifest.device, str(folder), _ANEW)


def check_usable(
    folder: Path,
    manifest: Manifest,
    target: Target,
    fingerprint: Mapping[str, str] | None = None,
) -> None:
    """The part of :func:`check_manifest` that imports no framework.

    Raises:
        ArtifactError: the model, the target or a version is another.
    """
    for part, wanted in (fingerprint or {}).items():
        if manifest.fingerprint.get(part) != wanted:
            got = manifest.fingerprint.get(part, "(absent)")
            raise refused("model", f"{part} {wanted}", f"{part} {got}", str(folder), _ANEW)
    reason = target.usable()
    if reason:
        raise ArtifactError(
            f"the target {target.name} cannot be used here",
            facts=[("artifact", str(folder)), ("because", reason)],
            tries=[(f"pip install 'foretell[{target.extra}]'", "")] if target.extra else [],
            slug="artifact-target",
        )
    for name, now in target.versions().items():
        stored = manifest.versions.get(name, "(absent)")
        if stored != now:
            raise refused("version", f"{name} {now}", f"{name} {stored}", str(folder), _ANEW)


def check_setting(name: str, wanted: object, got: object) -> None:
    """Refuse a setting that contradicts the artifact.

    Raises:
        ConfigError: naming the setting.
    """
    if wanted is not None and wanted != got:
        raise ConfigError(
            f"the artifact was compiled with another {name}",
            facts=[(f"deployer.{name}", str(wanted)), ("artifact", str(got))],
            tries=[(f"leave {name} out", "the artifact decides")],
            slug=f"artifact-{name}",
        )
