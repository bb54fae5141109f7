"""Putting the merged layers together: kinds inferred, sections validated, problems collected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from foretell.config import infer
from foretell.config.job import DEFAULT, VERSION, Job
from foretell.config.layers import SECTIONS, Layer, Value, join_key, nest
from foretell.config.problems import JobError, Problem
from foretell.config.schedule import ScheduleOptions
from foretell.config.suggest import nearest
from foretell.config.validate import place, validate
from foretell.errors import UnknownPlugin

_WAY_IN = {"source": "--source", "predictor": "--model", "writer": "--output"}


class Assembly:
    """One attempt to make a job of merged settings. Problems gather in ``problems``.

    Args:
        merged: All settings given, flat.
        base: Folder the job's relative paths start from.
        resolve: (section, kind) to the settings class.
        default_deployer: Kind of predictor to kind of deployer.
    """

    def __init__(
        self,
        merged: Layer,
        base: Path,
        resolve: Callable[[str, str], type[BaseModel]],
        default_deployer: Callable[[str], str] | None,
    ) -> None:
        self.given = dict(merged)
        self.base = base
        self.resolve = resolve
        self.default_deployer = default_deployer
        self.problems: list[Problem] = []

    def job(self, path: Path | None) -> Job:
        """The job, or everything that is wrong as one error."""
        self._check_top()
        self._infer_kinds()
        sections = {name: self._section(name) for name in SECTIONS}
        if self.problems:
            raise JobError(self.problems)
        origins = {join_key(key): value.origin for key, value in self.given.items()}
        parts: dict[str, Any] = sections
        return Job(**parts, origins=origins, base_dir=self.base, path=path)

    # --- the outermost level -------------------------------------------------------------------

    def _check_top(self) -> None:
        for name in dict.fromkeys(key[0] for key in self.given):
            if name == "version":
                self._check_version()
            elif name not in SECTIONS:
                self._unknown_section(name)

    def _check_version(self) -> None:
        given = self.given.get(("version",))
        if given is None or given.value != VERSION or isinstance(given.value, bool):
            got, origin = place(("version",), self.given)
            text = f"this release reads version {VERSION} of the job file"
            self.problems.append(Problem("version", text, got, origin))

    def _unknown_section(self, name: str) -> None:
        got, origin = place((name,), self.given)
        inner = nearest(name, ScheduleOptions.model_fields)
        near = nearest(name, (*SECTIONS, "version")) or (inner and f"schedule.{inner}")
        known = () if near else SECTIONS
        message = "unknown key" if (name,) in self.given else "unknown section"
        self.problems.append(Problem(name, message, got, origin, nearest=near, known=known))

    # --- kinds ---------------------------------------------------------------------------------

    def _infer_kinds(self) -> None:
        if not self._has("source", "kind"):
            self._infer_source()
        if not self._has("predictor", "kind"):
            if self._has("predictor", "model"):
                self._set_kind("predictor", infer.DEFAULT_PREDICTOR, DEFAULT)
            else:
                self._missing("predictor", "model")
        if not self._has("writer", "path"):
            self._missing("writer", "path")
        elif not self._has("writer", "kind"):
            path = str(self.given[("writer", "path")].value)
            self._set_kind("writer", infer.writer_kind(path), "inferred from writer.path")
        else:
            self._check_writer()
        if self._given("deployer") and not self._has("deployer", "kind"):
            self._infer_deployer()

    def _infer_source(self) -> None:
        given = self.given.get(("source", "path"))
        if given is None:
            self._missing("source", "path")
            return
        got, origin = place(("source", "path"), self.given)
        text = given.value if given.raw is None else given.raw
        if not isinstance(text, str):
            self.problems.append(Problem("source.path", "expected text", got, origin))
            return
        kind = infer.source_kind(text, given.base or self.base)
        if kind is not None:
            self._set_kind("source", kind, "inferred from source.path")
            return
        message = "missing, and the path does not tell what it holds"
        tries = (("--set source.kind=…", "sdk plugins lists the kinds"),)
        self.problems.append(Problem("source.kind", message, got, origin, tries=tries))

    def _check_writer(self) -> None:
        """A suffix that promises one format, and a kind that writes another: which is meant?"""
        kind, path = self.given[("writer", "kind")], str(self.given[("writer", "path")].value)
        named = infer.named_writer(path)
        if named is None or kind.value == named or kind.value not in infer.FILE_WRITERS:
            return
        got, origin = place(("writer", "path"), self.given)
        message = f"the name says {named}, writer.kind says {kind.value} ({kind.origin})"
        tries = ((f"--set writer.kind={named}", f"or another name than {Path(path).name}"),)
        self.problems.append(Problem("writer.path", message, got, origin, tries=tries))

    def _infer_deployer(self) -> None:
        predictor = self.given.get(("predictor", "kind"))
        if predictor is None or self.default_deployer is None:
            return
        try:
            kind = self.default_deployer(str(predictor.value))
        except UnknownPlugin:
            return
        self._set_kind("deployer", kind, f"default of predictor {predictor.value}")

    def _missing(self, section: str, name: str) -> None:
        option = _WAY_IN[section]
        tries = [(f"{option} …", f"or {name} in [{section}]")]
        if section == "writer" and not any(self._given(other) for other in _WAY_IN):
            tries.append(("sdk init", "writes a job that runs"))
        self.problems.append(Problem(f"{section}.{name}", "missing", tries=tuple(tries)))

    def _has(self, *key: str) -> bool:
        return key in self.given

    def _given(self, section: str) -> bool:
        return any(key[0] == section for key in self.given)

    def _set_kind(self, section: str, kind: str, origin: str) -> None:
        self.given[(section, "kind")] = Value(kind, origin)

    # --- sections ------------------------------------------------------------------------------

    def _section(self, name: str) -> BaseModel | None:
        if name == "deployer" and not self._given(name):
            return None
        model = ScheduleOptions if name == "schedule" else self._model(name)
        if model is None:
            return None
        self._rebase(name, model)
        table = nest(self.given).get(name, {})
        options, problems = validate(name, model, table, self.given)
        self.problems += problems
        return options.at(self.base) if options is not None and hasattr(options, "at") else options

    def _model(self, section: str) -> type[BaseModel] | None:
        kind = self.given.get((section, "kind"))
        if kind is None:
            return None
        name = kind.raw if kind.raw is not None else kind.value
        got, origin = place((section, "kind"), self.given)
        if not isinstance(name, str):
            self.problems.append(Problem(f"{section}.kind", "expected text", got, origin))
            return None
        try:
            return self.resolve(section, name)
        except UnknownPlugin as error:
            self.problems.append(
                Problem(
                    f"{section}.kind",
                    error.message,
                    got,
                    origin,
                    nearest=error.nearest,
                    known=() if error.nearest else error.known,
                )
            )
            return None

    def _rebase(self, section: str, model: type[BaseModel]) -> None:
        """Make paths absolute that were typed in another folder than the job's."""
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra
            form = extra.get("format") if isinstance(extra, dict) else None
            given = self.given.get((section, name))
            if form not in ("path", "import") or given is None:
                continue
            moved = _moved(given, self.base, str(form))
            if moved is not None:
                self.given[(section, name)] = Value(moved, given.origin)


def _moved(given: Value, base: Path, form: str) -> str | None:
    text = given.raw if given.raw is not None and not isinstance(given.value, str) else given.value
    if not isinstance(text, str) or given.base is None or given.base == base or "://" in text:
        return None
    file, colon, attribute = text.rpartition(":") if form == "import" else (text, "", "")
    names_file = file.endswith(".py") or "/" in file or (given.base / text).exists()
    if form == "import" and not names_file:
        return None
    return f"{given.base / Path(file or text).expanduser()}{colon}{attribute if file else ''}"
