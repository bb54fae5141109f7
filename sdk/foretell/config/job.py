"""A job: the validated settings of one run and where each of them came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from foretell.abc.options import (
    DeployerOptions,
    PredictorOptions,
    SourceOptions,
    WriterOptions,
)
from foretell.config.layers import SECTIONS
from foretell.config.schedule import ScheduleOptions
from foretell.redact import redact

VERSION = 1
"""Version of the job file this release reads and writes."""

DEFAULT = "default"
"""Origin of a setting that nobody gave."""


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a run is made of.

    Attributes:
        source, predictor, writer: Settings of these sections, relative to ``base_dir``.
        deployer: Its settings; None for the predictor's default deployer with default settings.
        schedule: How the work is cut, spread, retried and ended.
        origins: Dotted key to the place the value came from, for every value that was given.
        base_dir: Folder that relative paths and import strings start from.
        path: The job file, None when there was none.
    """

    source: SourceOptions
    predictor: PredictorOptions
    deployer: DeployerOptions | None
    writer: WriterOptions
    schedule: ScheduleOptions
    origins: Mapping[str, str] = field(default_factory=dict)
    base_dir: Path = field(default_factory=Path.cwd)
    path: Path | None = None

    def origin(self, key: str) -> str:
        """Where the value of a dotted key came from; a table's is that of its first entry."""
        if key in self.origins:
            return self.origins[key]
        below = (self.origins[k] for k in self.origins if k.startswith(f"{key}."))
        return next(below, DEFAULT)

    def section(self, name: str) -> BaseModel | None:
        """The settings of one section by its name."""
        value: BaseModel | None = getattr(self, name)
        return value

    def to_json(self) -> dict[str, Any]:
        """Plain data for the manifest, every value resolved and secrets hidden."""
        tables: dict[str, Any] = {"version": VERSION}
        for name in SECTIONS:
            options = self.section(name)
            tables[name] = None if options is None else redact(options.model_dump(mode="json"))
        return tables

    def flat(self) -> dict[str, tuple[Any, str]]:
        """Every setting: dotted key to (plain value with secrets hidden, origin)."""
        rows: dict[str, tuple[Any, str]] = {"version": (VERSION, self.origin("version"))}
        for name, table in self.to_json().items():
            if isinstance(table, Mapping):
                for key, value in _leaves(table, name):
                    rows[key] = (value, self.origin(key))
        return rows


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        key = f'{prefix}."{name}"' if "." in name else f"{prefix}.{name}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, key)
        else:
            yield key, value
