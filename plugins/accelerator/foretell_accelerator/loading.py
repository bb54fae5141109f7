"""From a predictor to a deployment: the artifact it names, or what is compiled now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from foretell.abc import DeployContext

from foretell_accelerator import registry
from foretell_accelerator.artifact import Artifact, load
from foretell_accelerator.cache import cached
from foretell_accelerator.compiling import (
    Planned,
    Recipe,
    build,
    check_recipe,
    program_of,
)
from foretell_accelerator.decoding import programs
from foretell_accelerator.decoding.decoder import Decoder
from foretell_accelerator.decoding.loop import Generator
from foretell_accelerator.decoding.recipe import decoder_recipe, grid_of
from foretell_accelerator.deployer import model_parts, target_of
from foretell_accelerator.deployment import AcceleratorDeployment
from foretell_accelerator.manifest import Manifest, read_manifest
from foretell_accelerator.models import by_name, trace, unflatten
from foretell_accelerator.schema import ArraySpec, as_array, as_arrays
from foretell_accelerator.settings import AcceleratorOptions
from foretell_accelerator.targets.base import TargetSettings
from foretell_accelerator.targets.eager import EagerTarget


def recipe_of(options: AcceleratorOptions, predictor: Any) -> Recipe:
    """How the settings say to compile a predictor's model."""
    name = target_of(options, predictor)
    return Recipe(
        name,
        options.precision or "fp32",
        options.device or registry.target(name).devices[0],
        dict(options.options),
        tuple(options.rewrites),
        model_parts(predictor),
    )


# --- models -----------------------------------------------------------------------------------


def deploy_model(
    options: AcceleratorOptions, predictor: Any, context: DeployContext, cache: str
) -> AcceleratorDeployment:
    """A model that is called once for a batch."""
    path = getattr(predictor, "artifact", None)
    if path is not None:
        artifact = _opened(options, predictor, path, context.threads)
        call = Call(lambda inputs: artifact)
        return AcceleratorDeployment(predictor, call, lambda: artifact)
    model = predictor.load()
    recipe = recipe_of(options, predictor)
    check_recipe(model, recipe)
    lazy = Lazy(model, recipe, context, cache)
    call = Call(lazy.artifact_for, lambda inputs: by_name(model, inputs))
    return AcceleratorDeployment(predictor, call, lambda: lazy.artifact)


def _opened(options: AcceleratorOptions, predictor: Any, path: str, threads: int) -> Artifact:
    needs_model = registry.target(read_manifest(path).target).needs_model
    model = predictor.load() if needs_model and predictor.has_model else None
    return load(
        path,
        threads=threads,
        model=model,
        fingerprint=model_parts(predictor) if predictor.has_model else None,
        device=options.device,
    )


class Call:
    """What a predictor calls instead of its model: with names, by position, or with one array.

    Args:
        artifact: Gives the artifact for some inputs.
        names: Puts inputs under their names; the compiled program's order by default.
    """

    def __init__(
        self,
        artifact: Callable[[Mapping[str, np.ndarray]], Artifact],
        names: Callable[[Any], dict[str, Any]] | None = None,
    ) -> None:
        self._artifact = artifact
        self._names = names

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inputs: Any = kwargs or (args[0] if len(args) == 1 else args)
        named = as_arrays(self._named(inputs))
        artifact = self._artifact(named)
        return unflatten(artifact.rows(**named), artifact.programs[0].structure)

    def _named(self, inputs: Any) -> dict[str, Any]:
        if self._names is not None:
            return self._names(inputs)
        if isinstance(inputs, Mapping):
            return dict(inputs)
        values = list(inputs) if isinstance(inputs, tuple) else [inputs]
        known = [spec.name for spec in self._artifact({}).programs[0].inputs]
        extra = [f"input_{i}" for i in range(len(known), len(values))]
        return dict(zip([*known, *extra], values, strict=False))


class Lazy:
    """Compiles when the first batch says for which shapes; one program for the run.

    Args:
        model: The loaded model.
        recipe: How to compile it.
        context: Batch size and threads.
        cache: Folder of the cache.
    """

    def __init__(self, model: Any, recipe: Recipe, context: DeployContext, cache: str) -> None:
        self._model, self._recipe = model, recipe
        self._context, self._cache = context, Path(cache)
        self._lock = threading.Lock()
        self.artifact: Artifact | None = None

    def artifact_for(self, inputs: Mapping[str, np.ndarray]) -> Artifact:
        """The artifact; compiled, or found in the cache, for the shapes of the first batch."""
        with self._lock:
            if self.artifact is None:
                self.artifact = self._made(inputs)
            return self.artifact

    def _made(self, inputs: Mapping[str, np.ndarray]) -> Artifact:
        size = self._context.batch_size
        index = np.arange(size) % len(next(iter(inputs.values())))
        whole = {name: as_array(array[index]) for name, array in inputs.items()}
        planned = [Planned("main", self._model, whole)]
        if self._recipe.target == EagerTarget.name:
            return attached(planned, self._recipe, self._context.threads)
        return compiled(planned, self._recipe, self._cache, self._context.threads, self._model)


def compiled(
    planned: Sequence[Planned], recipe: Recipe, cache: Path, threads: int, model: Any
) -> Artifact:
    """An artifact from the cache, compiled now if it is not there."""
    shapes = {
        plan.name: [ArraySpec.of(n, a).to_json() for n, a in plan.inputs.items()]
        for plan in planned
    }
    path, _ = cached(cache, recipe, shapes, lambda place: build(planned, place, "cached", recipe))
    return load(path, threads=threads, model=model)


def attached(planned: Sequence[Planned], recipe: Recipe, threads: int) -> Artifact:
    """The model as it is, behind the same door as an artifact."""
    target = EagerTarget()
    settings = TargetSettings(recipe.precision, recipe.device, threads)
    traced = {p.name: trace(p.model, p.inputs, p.own) for p in planned}
    manifest = Manifest(
        "model",
        target.name,
        recipe.precision,
        target.device_kind(recipe.device),
        fingerprint=recipe.fingerprint,
        versions=target.versions(),
        programs=tuple(program_of(p, traced[p.name]) for p in planned),
        decoder=recipe.decoder,
    )
    return Artifact(
        None,
        manifest,
        target,
        settings,
        lambda program: target.attach(traced[program.name].traceable, settings),
    )


# --- decoders ---------------------------------------------------------------------------------


def deploy_decoder(
    options: AcceleratorOptions, predictor: Any, context: DeployContext, cache: str
) -> AcceleratorDeployment:
    """A decoder and the loop around it."""
    if predictor.artifact is not None:
        artifact = _opened(options, predictor, predictor.artifact, context.threads)
    else:
        artifact = _decoder(options, predictor, context, cache)
    decoder = Decoder(artifact)
    predictor.set_lengths(decoder.lengths)
    generator = Generator(decoder, predictor.sampling(), predictor.limits())
    return AcceleratorDeployment(
        predictor, generator, lambda: artifact, lambda: generator.speed.to_json()
    )


def _decoder(
    options: AcceleratorOptions, predictor: Any, context: DeployContext, cache: str
) -> Artifact:
    model = predictor.load()
    recipe = recipe_of(options, predictor)
    target = check_recipe(model, recipe)
    grid = grid_of(predictor, model, target, context.batch_size)
    recipe = decoder_recipe(recipe, predictor, grid)
    planned = programs.plan(model, grid)
    if recipe.target == EagerTarget.name:
        return attached(planned, recipe, context.threads)
    return compiled(planned, recipe, Path(cache), context.threads, model)
