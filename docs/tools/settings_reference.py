"""The reference of the job file, from the settings classes."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from foretell.config.schedule import ScheduleOptions, parse_duration, parse_size
from foretell.plugins.manager import load_plugins
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from tables import code, table

ROLES = {"source": "source", "predictor": "predictor", "deployer": "deployer", "writer": "writer"}

_WORDS = {int: "whole number", float: "number", str: "text", bool: "`true` or `false`"}
_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def sections() -> Iterator[tuple[str, str, type[BaseModel]]]:
    """(section, kind, settings class) of everything built in; the schedule has no kind."""
    known = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"})
    for section in ROLES:
        for claim in known.claims(section):
            yield section, claim.entry.name, known.resolve(section, claim.entry.name)
    yield "schedule", "", ScheduleOptions


def settings_of(section: str, kind: str = "") -> type[BaseModel]:
    """The settings class of one section and kind."""
    return next(model for s, k, model in sections() if (s, k) == (section, kind))


def variable(section: str, name: str) -> str:
    """The environment variable of a setting."""
    return f"FORETELL_{section.upper()}__{name.upper()}"


def default_of(field: FieldInfo) -> str:
    """The default as it would stand in a job file; empty where there is none."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, tuple):
        value = list(value)
    return code(json.dumps(value) if not isinstance(value, float) else f"{value:g}")


def type_of(field: FieldInfo) -> str:
    """The type in words."""
    return _words(field.annotation, tuple(field.metadata))


def _words(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0], (*arguments[1:], *metadata))
    if origin in (typing.Union, types.UnionType):
        parts = [_words(part, metadata) for part in arguments if part is not type(None)]
        return ", or ".join(parts)
    for item in metadata:
        if isinstance(item, BeforeValidator) and item.func is parse_duration:
            return "duration"
        if isinstance(item, BeforeValidator) and item.func is parse_size:
            return "size"
    if origin is Literal:
        return " or ".join(code(json.dumps(value)) for value in arguments)
    if origin is tuple:
        return "array of texts"
    if origin is dict:
        return "table"
    return _WORDS[annotation] + _bounds(metadata)


def _bounds(metadata: tuple[Any, ...]) -> str:
    """``at least 0 and at most 22``, with a space in front; empty where there are none."""
    said = [
        f"{word} {value}"
        for item in _flat(metadata)
        for name, word in _BOUNDS.items()
        if (value := getattr(item, name, None)) is not None
    ]
    return f" {' and '.join(said)}" if said else ""


def _flat(metadata: tuple[Any, ...]) -> Iterator[Any]:
    for item in metadata:
        yield from _flat(tuple(item.metadata)) if isinstance(item, FieldInfo) else (item,)


def settings(section: str, kind: str = "") -> str:
    """The settings of one section and kind as a table."""
    model = settings_of(section, kind)
    rows = []
    for name, field in model.model_fields.items():
        if name == "kind":
            continue
        about = (type_of(field), default_of(field), field.description)
        rows.append((code(name), *about, code(variable(section, name))))
    return table(("setting", "type", "default", "meaning", "variable"), rows)


def kinds() -> str:
    """Every built-in kind of every section."""
    known = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"})
    rows = [
        (code(f"[{section}]"), code(claim.entry.name), claim.entry.summary)
        for section in ROLES
        for claim in known.claims(section)
    ]
    return table(("section", "kind", "is"), rows)
