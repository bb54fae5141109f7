"""Docstrings of the code as Markdown: first the text, then what each name in a section means."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from dataclasses import dataclass, field
from functools import cache

_SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Source")
_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?([^`]+)`")
_ITEM = re.compile(r"^(\*{0,2}[\w./]+(?:, \*{0,2}[\w./]+)*):\s*(.*)$", re.DOTALL)
_TITLE = re.compile(rf"^({'|'.join(_SECTIONS)}):[ ]?(.*)$")


@dataclass
class Parsed:
    """A docstring in its parts.

    Attributes:
        text: What stands before the sections, as Markdown.
        sections: Title to (name, meaning) pairs; the name is empty where there is none.
    """

    text: str
    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def parse(doc: str | None) -> Parsed:
    """Take a docstring apart."""
    lines = inspect.cleandoc(doc or "").splitlines()
    titles = {at: found for at, line in enumerate(lines) if (found := _TITLE.match(line))}
    parsed = Parsed(markdown("\n".join(lines[: min(titles, default=len(lines))])))
    for at, until in itertools.pairwise([*titles, len(lines)]):
        title, rest = titles[at].groups()
        if title == "Source":
            text = " ".join([rest, *(line.strip() for line in lines[at + 1 : until])])
            parsed.sections[title] = [("", inline(text))]
            continue
        parsed.sections[title] = _items(textwrap.dedent("\n".join(lines[at + 1 : until])), title)
    return parsed


def _items(body: str, title: str) -> list[tuple[str, str]]:
    """The entries of a section; continuation lines are indented."""
    entries: list[str] = []
    for line in body.splitlines():
        if line and not line[0].isspace():
            entries.append(line)
        elif line.strip() and entries:
            entries[-1] += " " + line.strip()
    if title in ("Returns", "Yields"):
        return [("", inline(" ".join(entries)))] if entries else []
    found = []
    for entry in entries:
        match = _ITEM.match(entry)
        found.append((match[1], inline(match[2])) if match else ("", inline(entry)))
    return found


def inline(text: str) -> str:
    """Roles and doubled backticks as Markdown code, on one line."""
    text = _ROLE.sub(lambda match: f"`{match[1].rpartition('.')[2]}`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", " ".join(text.split()))


def markdown(text: str) -> str:
    """Paragraphs, lists, literal blocks and tables of a docstring as Markdown."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    out: list[str] = []
    literal = False
    for block in blocks:
        if literal and block.startswith((" ", "\t")):
            out.append("```python\n" + textwrap.dedent(block).rstrip() + "\n```")
            continue
        literal = block.rstrip().endswith("::")
        if block.lstrip().startswith("===="):
            out.append("```text\n" + block.rstrip() + "\n```")
        elif block.lstrip().startswith("* "):
            out.append("\n".join(_bullets(block)))
        elif shown := inline(block.rstrip().removesuffix("::")).strip():
            out.append(shown + (":" if literal else ""))
    return "\n\n".join(out)


def _bullets(block: str) -> list[str]:
    items: list[str] = []
    for line in block.splitlines():
        if line.lstrip().startswith("* "):
            items.append(line.strip()[2:])
        else:
            items[-1] += " " + line.strip()
    return [f"* {inline(item)}" for item in items]


@cache
def attribute_docs(owner: type) -> dict[str, tuple[str, str]]:
    """Class attributes that are followed by a string: name to (declaration, Markdown)."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, tuple[str, str]] = {}
    for node, after in itertools.pairwise(tree.body):
        if not isinstance(node, ast.AnnAssign | ast.Assign) or not isinstance(after, ast.Expr):
            continue
        if isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
            found[name] = (ast.unparse(node), markdown(inspect.cleandoc(after.value.value)))
    return found
