"""Compiling the model of a job."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from foretell.abc import Predictor
from foretell.config.job import Job
from foretell.errors import ConfigError, RowFailure
from foretell.plugins.manager import load_plugins
from foretell.rows import take
from foretell.types import Examples

from foretell_accelerator.compiling import Planned, build, check_recipe
from foretell_accelerator.decoding import programs
from foretell_accelerator.decoding.recipe import decoder_recipe, grid_of
from foretell_accelerator.deployer import AcceleratorDeployer
from foretell_accelerator.errors import CompileError
from foretell_accelerator.loading import recipe_of
from foretell_accelerator.manifest import Manifest
from foretell_accelerator.models import by_name
from foretell_accelerator.schema import as_arrays
from foretell_accelerator.settings import AcceleratorOptions

ROWS = 32
"""Rows of a compiled batch where the job leaves its size open."""


def compile_job(job: Job, folder: Path, name: str) -> Manifest:
    """Compile the model of a job.

    Args:
        job: Its predictor's model, the first rows of its source, its ``[deployer]``.
        folder: To be made.
        name: Of the artifact.

    Raises:
        ConfigError: the job's predictor or deployer cannot be compiled.
        CompileError: see :func:`foretell_accelerator.compile`.
    """
    plugins = load_plugins()
    predictor = plugins.predictor(job.predictor.kind).from_options(job.predictor)
    settings = _settings(job, predictor)
    if getattr(predictor, "artifact", None) is not None:
        raise ConfigError(
            "the job runs an artifact already",
            facts=[("predictor.artifact", str(getattr(predictor, "artifact", "")))],
            tries=[("leave predictor.artifact out", "to compile the model anew")],
            slug="compile-artifact",
        )
    model = predictor.load()
    recipe = recipe_of(settings, predictor)
    target = check_recipe(model, recipe)
    size = job.predictor.batch_size
    rows = ROWS if size == "auto" else size
    if predictor.model_kind != "generate":
        source = plugins.source(job.source.kind).from_options(job.source)
        inputs = as_arrays(by_name(model, _batch(source, predictor, rows)))
        return build([Planned("main", model, inputs)], folder, name, recipe)
    grid = grid_of(predictor, model, target, rows)
    with tempfile.TemporaryDirectory() as stage:
        recipe = decoder_recipe(recipe, predictor, grid, Path(stage))
        return build(programs.plan(model, grid), folder, name, recipe)


def _settings(job: Job, predictor: Predictor) -> AcceleratorOptions:
    settings = job.deployer
    if settings is None and predictor.default_deployer == "accelerator":
        settings = AcceleratorOptions()
    if not isinstance(settings, AcceleratorOptions):
        kind = "none" if settings is None else settings.kind
        raise ConfigError(
            "the job has another deployer than the one that compiles",
            facts=[("deployer.kind", kind)],
            tries=[("--set deployer.kind=accelerator", "and deployer.target")],
            slug="compile-deployer",
        )
    accepts = AcceleratorDeployer.accepts
    if predictor.model_kind not in accepts:
        raise ConfigError(
            f"models of predictor {job.predictor.kind!r} cannot be compiled",
            facts=[("model", predictor.model_kind), ("compiled are", ", ".join(sorted(accepts)))],
            slug="compile-predictor",
        )
    return settings


def _batch(source: Any, predictor: Predictor, rows: int) -> Any:
    """The first usable rows of the source, as many as a batch has, collated."""
    length = len(source)
    if length == 0:
        raise CompileError(
            "the source has no rows to compile for",
            tries=[("--source PATH", "rows of the shape the model will see")],
            slug="compile-example",
        )
    read = source.read(0, min(length, 4 * rows))
    bad = {error.row for error in read.errors}
    good = np.array([i for i in range(min(length, 4 * rows)) if i not in bad], dtype=np.int64)
    if not len(good):
        raise CompileError("none of the source's first rows is usable", slug="compile-example")
    chosen: Examples = take(read.examples, good[np.arange(rows) % len(good)])
    try:
        return predictor.collate(chosen)
    except RowFailure as error:
        raise CompileError(
            "the source's first rows cannot be collated",
            facts=[("cause", error.message)],
            slug="compile-example",
        ) from error
