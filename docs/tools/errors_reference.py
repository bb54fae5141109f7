"""The reference of errors: classes from :mod:`foretell.errors`, slugs from every place that raises.

Slugs are found in the source, not at run time: ``slug="…"`` in a call, or of the class raised.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docstrings
import foretell
from foretell import errors
from tables import code, table

PACKAGE = Path(foretell.__file__).parent


@dataclass(frozen=True)
class Raised:
    """One place that makes an error."""

    slug: str
    kind: str
    message: str


def classes() -> dict[str, type[errors.ForetellError]]:
    """Every class of the family by name."""
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ForetellError)
    }


def error_classes() -> str:
    """The classes with their slugs and exit codes."""
    rows = [
        (
            code(name),
            code(kind.__mro__[1].__name__),
            code(kind.slug),
            code(kind.exit_code),
            docstrings.parse(kind.__doc__).text.split("\n\n")[0],
        )
        for name, kind in classes().items()
    ]
    return table(("class", "base", "slug", "exit code", "means"), rows)


def raised() -> Iterator[Raised]:
    """Every error made with a message in the source."""
    known = classes()
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            given = next((k.value for k in call.keywords if k.arg == "slug"), None)
            if name not in known or not call.args:
                continue
            slug = known[name].slug
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                slug = given.value
            elif given is not None:
                continue
            for message in _messages(call.args[0]) or [""]:
                yield Raised(slug, name, message)


def _messages(node: ast.expr) -> list[str]:
    """The messages as they are written, with … for what is filled in; none that are computed."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = (str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
        return ["".join(parts)]
    if isinstance(node, ast.IfExp):
        return _messages(node.body) + _messages(node.orelse)
    return []


def slugs() -> str:
    """Every slug with its exit code and the messages it comes with."""
    known = classes()
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for kind in known.values():
        found[kind.slug][kind.__name__]
    for item in raised():
        found[item.slug][item.kind].add(item.message)
    rows = []
    for slug in sorted(found):
        kinds = found[slug]
        exits = sorted({known[kind].exit_code for kind in kinds})
        messages = sorted({text for texts in kinds.values() for text in texts if text})
        rows.append(
            (
                code(slug),
                ", ".join(map(code, sorted(kinds))),
                ", ".join(code(number) for number in exits),
                "<br>".join(messages),
            )
        )
    return table(("slug", "class", "exit code", "message"), rows)
