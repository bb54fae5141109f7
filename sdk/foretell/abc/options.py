"""The settings every kind of part shares; a plugin derives its own from these.

Each contract names its settings class in ``Options``. It is a pydantic model, so unknown keys are
errors, every field has a description, and editors get a JSON Schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

PATH: dict[str, Any] = {"format": "path"}
"""Marks a setting (``json_schema_extra=PATH``) whose relative value means another folder when it
was typed on the command line than when it stands in the job file."""

IMPORT: dict[str, Any] = {"format": "import"}
"""Marks an import string: its file, if it names one, moves like a path."""


class Options(BaseModel):
    """Settings of one section of a job file: frozen, nothing unknown, nothing coerced silently.

    ``base_dir`` is the folder of the job file (the working directory without one): relative paths
    and import strings are looked up there first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    kind: str = Field(description="Which registered implementation to use.")
    _base_dir: Path | None = PrivateAttr(default=None)

    @property
    def base_dir(self) -> Path:
        """Where relative paths and import strings are looked up first."""
        return self._base_dir if self._base_dir is not None else Path.cwd()

    def at(self, base_dir: Path | str) -> Any:
        """A copy of these settings that resolves relative paths from ``base_dir``."""
        copy = self.model_copy()
        copy._base_dir = Path(base_dir)
        return copy

    def resolve(self, path: str) -> str:
        """An absolute path for ``path``; URLs are returned as they are."""
        if "://" in path:
            return path
        return str((self.base_dir / Path(path).expanduser()).resolve())


class SourceOptions(Options):
    """``[source]``: where the rows come from."""

    path: str | None = Field(
        default=None, description="File, folder or URL of the data.", json_schema_extra=PATH
    )
    rows: str | None = Field(
        default=None,
        description="A part of the source, START:STOP, for a trial.",
        pattern=r"^\d*:\d*$",
    )
    fingerprint: Literal["stat", "content"] = Field(
        default="stat",
        description="How a change of the source is noticed: names, sizes and times, or all bytes.",
    )


class PredictorOptions(Options):
    """``[predictor]``: what happens to a batch."""

    model: str | None = Field(
        default=None,
        description="Import string module:attribute or file.py:attribute, looked up beside the "
        "job first.",
        json_schema_extra=IMPORT,
    )
    checkpoint: str | None = Field(
        default=None, description="File or folder with the weights.", json_schema_extra=PATH
    )
    collate: str | None = Field(
        default=None,
        description="Import string: examples to inputs.",
        json_schema_extra=IMPORT,
    )
    postprocess: str | None = Field(
        default=None,
        description="Import string: predictions to named outputs.",
        json_schema_extra=IMPORT,
    )
    batch_size: Annotated[int, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", description="Rows the model sees in one step."
    )
    seed: int = Field(default=0, description="Seed of the per-row random keys.")
    outputs: tuple[str, ...] | None = Field(
        default=None, description="Keep only these outputs; all when absent."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments for the model's factory."
    )
    version: str | None = Field(
        default=None, description="Your own version of the model, where it cannot be hashed."
    )


class DeployerOptions(Options):
    """``[deployer]``: where and how the model runs."""

    slots: int | None = Field(
        default=None, ge=1, description="Batches computed at once in one worker process."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads inside one operation of the model."
    )


class WriterOptions(Options):
    """``[writer]``: where the predictions go."""

    path: str | None = Field(
        default=None, description="The run store: a folder or URL.", json_schema_extra=PATH
    )
    durability: Literal["process", "power"] = Field(
        default="process",
        description="process: survives a kill of any process; power: also a power cut (fsync).",
    )
    keep: tuple[str, ...] = Field(default=(), description="Input columns carried to the output.")
