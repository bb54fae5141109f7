"""The reference of Python names, hooks and events, from the code."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from typing import Any

import docstrings
from foretell import events, hookspecs
from tables import code, fence, table

WIDTH = 84
_SPECIAL = ("__len__", "__getitem__")


def find(place: str) -> Any:
    """The object at ``module:attribute``."""
    module, _, attribute = place.partition(":")
    found = importlib.import_module(module)
    for name in attribute.split(".") if attribute else ():
        found = getattr(found, name)
    return found


def signature(function: Any, name: str | None = None) -> str:
    """The signature as it stands in the code, one parameter a line when it is long."""
    shown = inspect.signature(function)
    name = name or function.__name__
    arrow = "" if shown.return_annotation is shown.empty else f" -> {shown.return_annotation}"
    arrow = arrow.replace("'", '"')
    parameters = _parameters(shown)
    text = f"{name}({', '.join(parameters)}){arrow}"
    if len(text) <= WIDTH:
        return text
    body = "".join(f"    {parameter},\n" for parameter in parameters)
    return f"{name}(\n{body}){arrow}"


def _parameters(shown: inspect.Signature) -> list[str]:
    """Annotations are text in the code, and stay as they are written there."""
    parts: list[str] = []
    for item in shown.parameters.values():
        if item.kind is item.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        text = item.name if item.annotation is item.empty else f"{item.name}: {item.annotation}"
        if item.default is not item.empty:
            text += f" = {item.default!r}" if ":" in text else f"={item.default!r}"
        stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(item.kind.name, "")
        parts.append(stars + text.replace("'", '"'))
    return parts


def documented(parsed: docstrings.Parsed) -> list[str]:
    """Text and sections as Markdown parts."""
    parts = [parsed.text]
    for title, items in parsed.sections.items():
        if title in ("Returns", "Yields", "Source"):
            parts.append(f"**{title}**: {items[0][1]}" if items else "")
        else:
            rows = [(code(name), text) for name, text in items]
            head = {"Args": "argument", "Attributes": "field", "Raises": "raises"}[title]
            parts.append(table((head, "meaning"), rows))
    return [part for part in parts if part]


def function(place: str, name: str = "", prefix: str = "") -> str:
    """A function with its exact signature."""
    found = find(place)
    text = signature(found, name or None)
    return "\n\n".join([fence(prefix + text), *documented(docstrings.parse(found.__doc__))])


def attributes(owner: type) -> str:
    """Documented class attributes as a table."""
    rows = []
    for declaration, text in docstrings.attribute_docs(owner).values():
        shown = re.sub(r"ClassVar\[(.*?)\](?= =|$)", r"\1", declaration)
        rows.append((code(shown), text))
    return table(("attribute", "meaning"), rows)


def members(owner: type) -> list[str]:
    """Public methods and properties a class defines itself, in the order of its source."""
    found = []
    for name, member in vars(owner).items():
        function = _function_of(member)
        if not inspect.isfunction(function) or (name.startswith("_") and name not in _SPECIAL):
            continue
        if not name.startswith("_") or function.__doc__:
            found.append(name)
    return found


def _function_of(member: Any) -> Any:
    return member.fget if isinstance(member, property) else getattr(member, "__func__", member)


def _prefix(member: Any) -> str:
    abstract = "@abstractmethod\n" if getattr(member, "__isabstractmethod__", False) else ""
    if isinstance(member, property):
        return f"@property\n{abstract}"
    return f"@classmethod\n{abstract}" if isinstance(member, classmethod) else abstract


def class_(place: str, level: str = "3") -> str:
    """A class: docstring, documented attributes, methods with their signatures."""
    owner = find(place)
    parts = documented(docstrings.parse(owner.__doc__))
    if not dataclasses.is_dataclass(owner):
        parts.append(attributes(owner))
    for name in members(owner):
        member = vars(owner)[name]
        function = _function_of(member)
        parts.append(f"{'#' * int(level)} {owner.__name__}.{name}")
        parts.append(fence(f"{_prefix(member)}def {signature(function)}: ..."))
        parts += documented(docstrings.parse(inspect.getdoc(function)))
    return "\n\n".join(part for part in parts if part)


def fields(place: str) -> str:
    """The fields of a dataclass with type, default and meaning."""
    owner = find(place)
    meanings = field_meanings(owner)
    columns = {
        "field": [code(item.name) for item in dataclasses.fields(owner)],
        "type": [code(item.type) for item in dataclasses.fields(owner)],
        "default": [_default(item) for item in dataclasses.fields(owner)],
        "meaning": [meanings.get(item.name, "") for item in dataclasses.fields(owner)],
    }
    said = {title: cells for title, cells in columns.items() if any(cells)}
    return table(list(said), zip(*said.values(), strict=True))


def _default(item: dataclasses.Field[Any]) -> str:
    if item.default is not dataclasses.MISSING:
        return code(repr(getattr(item.default, "value", item.default)))
    if item.default_factory is dataclasses.MISSING:
        return ""
    made = item.default_factory()
    return code(f"{type(made).__name__}()" if dataclasses.is_dataclass(made) else repr(made))


def field_meanings(owner: type) -> dict[str, str]:
    """Field name to meaning, those of base classes included; grouped names each get the text."""
    meanings: dict[str, str] = {}
    for kind in reversed(owner.__mro__):
        for names, text in docstrings.parse(kind.__doc__).sections.get("Attributes", []):
            meanings |= dict.fromkeys(names.split(", "), text)
    return meanings


def hooks() -> str:
    """Every hook with its exact signature, in the order of a run's life."""
    parts = []
    for name, hook in vars(hookspecs).items():
        if hasattr(hook, f"{hookspecs.PROJECT}_spec"):
            parts += [f"## {name}", fence("@hookimpl\ndef " + signature(hook) + ": ...")]
            parts += documented(docstrings.parse(hook.__doc__))
    return "\n\n".join(parts)


def all_events() -> str:
    """Every event with its fields."""
    parts = []
    for name, kind in events._KINDS.items():
        parts += [f"## {name}", docstrings.parse(kind.__doc__).text]
        parts += [f"`foretell.events.{kind.__name__}`", fields(f"foretell.events:{kind.__name__}")]
    return "\n\n".join(parts)


def members_of_enum(place: str) -> str:
    """The values of an enumeration, one line."""
    items: list[Any] = list(find(place))
    return ", ".join(
        code(item.name.lower() if isinstance(item.value, int) else item.value) for item in items
    )
