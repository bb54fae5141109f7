"""One section of a job, checked against its settings class, every complaint in plain words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from foretell.config.layers import Layer, join_key
from foretell.config.origins import Key
from foretell.config.problems import Problem, show_value
from foretell.config.suggest import nearest

ModelT = TypeVar("ModelT", bound=BaseModel)

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "tuple": "an array",
    "list": "an array",
    "set": "an array",
    "dict": "a table",
    "model": "a table",
    "none": "nothing",
}

_BOUNDS = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
}


def validate(
    section: str, model: type[ModelT], table: Mapping[str, Any], given: Layer
) -> tuple[ModelT | None, list[Problem]]:
    """The settings of ``section``, or why there are none.

    Values are taken as strictly as JSON: ``"2"`` is not a number. A value typed on the command
    line or in the environment is text that may spell a literal; where the literal does not fit, the
    text itself is tried.

    Args:
        section: Name of the section, for the problems.
        model: Its settings class.
        table: What was given, merged over all layers.
        given: The same, flat, with origins.
    """
    if spoilt := _not_unicode(section, given):
        return None, spoilt
    try:
        return _strict(model, table), []
    except ValidationError as error:
        as_typed = _as_typed(table, _misread(error, table), given, section)
        if as_typed is not None:
            try:
                return _strict(model, as_typed), []
            except ValidationError as again:
                error = again
        return None, _problems(section, model, table, error, given)
    except NotPlain as refused:
        return None, [_not_plain(section, refused, given)]


def _not_unicode(section: str, given: Layer) -> list[Problem]:
    """Texts of a section that hold bytes which are no UTF-8, a file's name for instance."""
    return [
        Problem(
            join_key(key), "not valid UTF-8", show_value(join_key(key), item.value), item.origin
        )
        for key, item in given.items()
        if key[0] == section and _spoilt(item.value)
    ]


def _spoilt(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_spoilt(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return any(map(_spoilt, value))
    return isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value)


class NotPlain(TypeError):
    """A value that no job file could hold."""


def _strict(model: type[ModelT], table: Mapping[str, Any]) -> ModelT:
    return model.model_validate_json(json.dumps(table, default=_plain), strict=True)


def _plain(value: Any) -> Any:
    """What stands for ``value`` in JSON: text for dates and paths, lists for NumPy's scalars."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "__fspath__"):
        return str(value.__fspath__())
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise NotPlain(value)


def _not_plain(section: str, refused: NotPlain, given: Layer) -> Problem:
    value = refused.args[0]
    for key, item in given.items():
        if key[0] == section and _holds(item.value, value):
            return Problem(join_key(key), "not plain data", type(value).__name__, item.origin)
    return Problem(section, "not plain data", type(value).__name__)


def _holds(tree: Any, value: Any) -> bool:
    if isinstance(tree, Mapping):
        return any(_holds(item, value) for item in tree.values())
    if isinstance(tree, list | tuple):
        return any(_holds(item, value) for item in tree)
    return tree is value


def _misread(error: ValidationError, table: Mapping[str, Any]) -> set[Key]:
    """Settings that do not fit; one that is out of bounds was read rightly."""
    items = [(item["type"], _path(item["loc"], table)) for item in error.errors(include_url=False)]
    return {path for _, path in items} - {path for kind, path in items if kind in _BOUNDS}


def _path(loc: Sequence[int | str], table: Mapping[str, Any]) -> Key:
    """The part of an error's place that names settings; the rest names branches of unions."""
    path: list[str] = []
    value: Any = table
    for position, part in enumerate(loc):
        if isinstance(value, Mapping) and (part in value or position == 0):
            path.append(str(part))
            value = value.get(part)
        else:
            break
    return tuple(path)


def _as_typed(
    table: Mapping[str, Any], paths: set[Key], given: Layer, section: str
) -> dict[str, Any] | None:
    """``table`` with the text as typed in place of the literals that did not fit."""
    changed: dict[str, Any] = json.loads(json.dumps(table, default=_plain))
    found = False
    for path in paths:
        value = given.get((section, *path))
        if value is None or value.raw is None or isinstance(value.value, str):
            continue
        inner = changed
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value.raw
        found = True
    return changed if found else None


def _problems(
    section: str,
    model: type[BaseModel],
    table: Mapping[str, Any],
    error: ValidationError,
    given: Layer,
) -> list[Problem]:
    grouped: dict[Key, list[Any]] = {}
    for item in error.errors(include_url=False):
        grouped.setdefault(_path(item["loc"], table), []).append(item)
    return [_problem(section, model, path, items, given) for path, items in grouped.items()]


def _problem(
    section: str, model: type[BaseModel], path: Key, items: list[Any], given: Layer
) -> Problem:
    key = (section, *path)
    dotted = join_key(key)
    got, origin = place(key, given)
    if items[0]["type"] == "extra_forbidden":
        known = sorted(model.model_fields)
        near = nearest(path[-1], known) if len(path) == 1 else None
        return Problem(
            dotted,
            "unknown key",
            got,
            origin,
            nearest=f"{section}.{near}" if near else None,
            known=() if near or len(path) > 1 else tuple(known),
        )
    return Problem(dotted, _in_words(items, model, path), got, origin)


def place(key: Key, given: Layer) -> tuple[str, str]:
    """What was given for ``key`` and where; a table's own place is that of its first entry."""
    dotted = join_key(key)
    if key in given:
        return show_value(dotted, given[key].value), given[key].origin
    for other, value in given.items():
        if other[: len(key)] == key:
            return "a table", value.origin
    return "", ""


def _in_words(items: list[Any], model: type[BaseModel], path: Key) -> str:
    said = list(dict.fromkeys(_one_in_words(item, model, path) for item in items))
    expected = [text.removeprefix("expected ") for text in said if text.startswith("expected ")]
    if len(expected) == len(said):
        real = [text for text in expected if text != "nothing"] or expected
        return f"expected {' or '.join(real)}"
    return next(text for text in said if not text.startswith("expected "))


def _one_in_words(item: Any, model: type[BaseModel], path: Key) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "missing":
        return "missing, and there is no default"
    if kind == "literal_error":
        return f"expected {context['expected']}".replace("'", '"')
    if kind == "string_pattern_mismatch":
        about = model.model_fields[path[0]].description if len(path) == 1 else None
        return f"does not fit: {about.rstrip('.')}" if about else f"must match {context['pattern']}"
    if kind == "value_error":
        return str(context["error"])
    return _bound(kind, context) or _type_in_words(kind) or _lower(item["msg"])


def _bound(kind: str, context: Mapping[str, Any]) -> str | None:
    if kind not in _BOUNDS:
        return None
    words, name = _BOUNDS[kind]
    return f"{words} {context[name]}"


def _type_in_words(kind: str) -> str | None:
    name = kind.partition("_")[0]
    if kind.endswith(("_type", "_parsing", "_from_float", "_required")) and name in _EXPECTED:
        return f"expected {_EXPECTED[name]}"
    return None


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
