"""Fill the generated parts of the documentation from the code.

    python docs/tools/generate.py            rewrite what differs
    python docs/tools/generate.py --check    only say what differs; exit 1 when something does

A part stands between ``<!-- generated: NAME ARGUMENTS -->`` and ``<!-- end -->``. Reference pages
are kept as plain Markdown, so that they read the same here, on a code host and on the site.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import api_reference
import cli_reference
import errors_reference
import settings_reference
import watch_reference

DOCS = Path(__file__).resolve().parents[1]
PART = re.compile(r"<!-- generated: (?P<what>[^\n]+?) -->\n.*?<!-- end -->", re.DOTALL)

MAKERS: dict[str, Callable[..., str]] = {
    "class": api_reference.class_,
    "commands": cli_reference.commands,
    "command-overview": cli_reference.overview,
    "documents": cli_reference.documents,
    "enum": api_reference.members_of_enum,
    "error-classes": errors_reference.error_classes,
    "error-slugs": errors_reference.slugs,
    "events": api_reference.all_events,
    "exit-codes": cli_reference.exit_codes,
    "fields": api_reference.fields,
    "function": api_reference.function,
    "hooks": api_reference.hooks,
    "kinds": settings_reference.kinds,
    "plugin-kinds": settings_reference.plugin_kinds,
    "settings": settings_reference.settings,
    "watch-keys": watch_reference.keys,
    "watch-options": watch_reference.options,
    "watch-signs": watch_reference.signs,
    "watch-states": watch_reference.states,
}


def filled(text: str) -> str:
    """A page with every generated part made anew."""

    def fill(match: re.Match[str]) -> str:
        name, *arguments = match["what"].split()
        made = MAKERS[name](*arguments).rstrip()
        return f"<!-- generated: {match['what']} -->\n\n{made}\n\n<!-- end -->"

    return PART.sub(fill, text)


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            stale.append(page)
            if not check:
                page.write_text(new, encoding="utf-8")
    for page in stale:
        print(f"{'differs' if check else 'written'}: {page.relative_to(DOCS.parent)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
