"""The reference of the job file, from the settings classes."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from foretell.abc import DeployerOptions, PredictorOptions, SourceOptions, WriterOptions
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
    if origin in (tuple, list):
        return "array of texts" if arguments[0] is str else "array"
    if origin in (dict, Mapping):
        inside = arguments[1]
        return f"table of {_words(inside)}s" if _is_model(inside) else "table"
    if _is_model(annotation):
        return "table"
    if annotation in (Any, object):
        return "any value"
    return _WORDS[annotation] + _bounds(metadata)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


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
    return _settings(section, settings_of(section, kind))


def _settings(section: str, model: type[BaseModel], left_out: frozenset[str] = frozenset()) -> str:
    rows = []
    for name, field in model.model_fields.items():
        if name == "kind" or name in left_out:
            continue
        about = (type_of(field), default_of(field), field.description)
        rows.append((code(name), *about, code(variable(section, name))))
    return table(("setting", "type", "default", "meaning", "variable"), rows)


SHARED = {
    "source": SourceOptions,
    "predictor": PredictorOptions,
    "deployer": DeployerOptions,
    "writer": WriterOptions,
}


def plugin_kinds() -> str:
    """The kinds of the plugins that come with the distribution, each with its own settings."""
    known = load_plugins({})
    claims = [(section, claim) for section in ROLES for claim in known.claims(section)]
    ours = {c.origin.distribution for _, c in claims if c.builtin}
    theirs = [(s, c) for s, c in claims if not c.builtin and c.origin.distribution in ours]
    parts = []
    for plugin in sorted({claim.origin.name for _, claim in theirs}):
        parts.append(f"## {plugin}")
        for section, claim in theirs:
            if claim.origin.name != plugin:
                continue
            model = known.resolve(section, claim.entry.name)
            own = _settings(section, model, frozenset(SHARED[section].model_fields))
            needs = f" `pip install 'foretell[{claim.entry.extra}]'`" if claim.entry.extra else ""
            parts += [
                f"### [{section}] {claim.entry.name}",
                f"{claim.entry.summary}.{needs}",
                own or "No settings of its own.",
            ]
    return "\n\n".join(parts)


def kinds() -> str:
    """Every built-in kind of every section."""
    known = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"})
    rows = [
        (code(f"[{section}]"), code(claim.entry.name), claim.entry.summary)
        for section in ROLES
        for claim in known.claims(section)
    ]
    return table(("section", "kind", "is"), rows)
