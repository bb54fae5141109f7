"""Collect the documentation strings of the standard library into docs.jsonl, one a line.

    python examples/sentences/collect.py [--output FILE]

The sources are parsed, never imported, so every Python of one version gives the same file.
"""

import argparse
import ast
import json
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
SKIP = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__"}
KINDS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def modules(root):
    """Every module of the library as (dotted name, path), in order of the name."""
    found = []
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        if SKIP.isdisjoint(parts) and not parts[0].startswith(("config-", "_sysconfigdata")):
            found.append((".".join(p for p in parts if p != "__init__"), path))
    return sorted(found)


def documented(node, name):
    """(dotted name, docstring) of a node and of what is inside it, in order of the source."""
    text = ast.get_docstring(node) if isinstance(node, KINDS) else None
    if text and text.strip():
        yield name, text
    for child in ast.iter_child_nodes(node):
        inner = f"{name}.{child.name}" if isinstance(child, KINDS) else name
        yield from documented(child, inner)


def collect(root):
    """One record per documentation string."""
    for module, path in modules(root):
        tree = ast.parse(path.read_bytes(), filename=str(path))
        for name, text in documented(tree, module):
            yield {"name": name, "text": " ".join(text.split())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "docs.jsonl")
    parser.add_argument("--library", type=Path, default=Path(sysconfig.get_path("stdlib")))
    arguments = parser.parse_args()
    with arguments.output.open("w", encoding="utf-8") as file:
        n = 0
        for n, record in enumerate(collect(arguments.library), start=1):  # noqa: B007
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(f"{n} documentation strings in {arguments.output}")


if __name__ == "__main__":
    main()
