"""From a job file, options, environment and project settings to one validated job.

Precedence, highest first: options and ``--set``, ``FORETELL_*``, the job file, ``[tool.foretell]``
of the nearest ``pyproject.toml``, defaults. Every problem is found before any is reported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel

from foretell.config.assemble import Assembly
from foretell.config.files import read_job_file, read_pyproject
from foretell.config.job import DEFAULT, VERSION, Job
from foretell.config.layers import (
    SECTIONS,
    Layer,
    Typed,
    Value,
    from_env,
    from_sets,
    from_table,
    join_key,
    merge,
)
from foretell.config.problems import Problem, show_value
from foretell.redact import HIDDEN

__all__ = ["DEFAULT", "VERSION", "Job", "Resolve", "Typed", "job_from_json", "load_job"]

Resolve: TypeAlias = Callable[[str, str], type[BaseModel]]
"""(section, kind) to the settings class; raises ``UnknownPlugin`` or ``PluginError``."""

DefaultDeployer: TypeAlias = Callable[[str], str]
"""Kind of predictor to the kind of deployer it wants."""

_MANIFEST = "the run's record"


def load_job(
    path: str | os.PathLike[str] | None = None,
    *,
    sets: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    resolve: Resolve,
    default_deployer: DefaultDeployer | None = None,
) -> Job:
    """The job that a file and everything around it describe.

    Args:
        path: The job file; None when options say it all.
        sets: Values that rule over everything: dotted keys, or sections as mappings. A
            :class:`Typed` is text to be read as TOML where it is.
        labels: How the user gave them, by dotted key: ``{"source.path": "--source"}``.
        env: The environment; this process's by default.
        cwd: Working directory: where ``path`` and paths in ``sets`` and ``env`` start from.
        resolve: Finds the settings class of a kind.
        default_deployer: Names the deployer of a predictor when ``[deployer]`` gives no kind.

    Raises:
        JobError: all that is wrong, each with the value and where it came from.
        PluginError: a selected plugin is broken or claimed twice.
    """
    here = Path(cwd) if cwd is not None else Path.cwd()
    file = None if path is None else here / path
    base = here if file is None else Path(os.path.normpath(file.parent))
    from_file = {} if file is None else read_job_file(file, str(path))
    environment, near = from_env(os.environ if env is None else env, here)
    layers = [
        from_sets(sets or {}, labels or {}, here),
        environment,
        from_file,
        read_pyproject(base, here),
    ]
    no_tables = [problem for layer in layers for problem in _no_tables(layer)]
    assembly = Assembly(merge(layers), base, resolve, default_deployer)
    assembly.problems += [_almost(*names) for names in near] + no_tables
    return assembly.job(file)


def job_from_json(
    data: Mapping[str, Any],
    *,
    base_dir: str | os.PathLike[str],
    sets: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    resolve: Resolve,
    default_deployer: DefaultDeployer | None = None,
) -> Job:
    """The job that :meth:`Job.to_json` wrote, with changes on top.

    Args:
        data: The ``job`` of a manifest.
        base_dir: The ``base_dir`` of that manifest.
        sets, labels, cwd, resolve, default_deployer: See :func:`load_job`.

    Raises:
        JobError: a setting is unknown to this release, or a secret that is not stored is missing.
        PluginError: a plugin is missing or broken.
    """
    here = Path(cwd) if cwd is not None else Path.cwd()
    tables = {name: table for name, table in data.items() if table is not None}
    stored = from_table(tables, lambda _key, value: Value(value, _MANIFEST))
    merged = merge([from_sets(sets or {}, labels or {}, here), stored])
    assembly = Assembly(merged, Path(base_dir), resolve, default_deployer)
    assembly.problems += _left_out(merged)
    return assembly.job(None)


def _almost(name: str, value: str, right: str) -> Problem:
    message = "not a setting: two underscores follow the section"
    tries = ((right, "the nearest right name"),)
    return Problem(name, message, value, "the environment", tries=tries)


def _no_tables(layer: Layer) -> list[Problem]:
    """Sections that are something else than a table, taken out of the layer."""
    problems = []
    for name in SECTIONS:
        value = layer.get((name,))
        if value is not None and not (isinstance(value.value, Mapping) and not value.value):
            got = show_value(name, value.value)
            problems.append(Problem(name, f"expected a table [{name}]", got, value.origin))
            del layer[(name,)]
    return problems


def _left_out(merged: Layer) -> list[Problem]:
    problems = []
    for key, value in merged.items():
        if isinstance(value.value, str) and HIDDEN in value.value and value.origin == _MANIFEST:
            dotted = join_key(key)
            message = "a secret, so it was never stored; give it again"
            problems.append(Problem(dotted, message, tries=((f"--set {dotted}=…", ""),)))
    return problems
