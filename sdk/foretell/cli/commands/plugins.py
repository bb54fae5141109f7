"""``sdk plugins``: what is installed, what it brings, what is broken."""

from __future__ import annotations

from typing import Any

import click

from foretell.cli import options
from foretell.cli.session import Session


@click.command("plugins")
@options.common
@click.pass_obj
def command(session: Session) -> int:
    """List plugins and what they bring, without importing what they bring.

    A plugin that cannot be used is a line here and nothing more, until it is selected.
    """
    from foretell.cli.output import emit

    data = survey()
    if session.json:
        emit("plugins", data)
    else:
        _show(data)
    return 0


def survey() -> dict[str, Any]:
    """Everything registered, everything broken, as plain data."""
    from foretell.cli.app import COMMANDS
    from foretell.cli.parts import plugins
    from foretell.plugins.manager import ROLES

    found = plugins()
    entries = [
        {
            "role": role,
            "name": claim.entry.name,
            "summary": claim.entry.summary,
            "target": claim.entry.target,
            "extra": claim.entry.extra,
            "plugin": claim.origin.name,
            "distribution": claim.origin.distribution,
            "usable": _usable(role, claim, found.claims(role), COMMANDS),
        }
        for role in ROLES
        for claim in found.claims(role)
    ]
    broken = [
        {
            "plugin": item.origin.name,
            "distribution": item.origin.distribution,
            "target": item.origin.target,
            "reason": item.reason,
        }
        for item in found.broken()
    ]
    return {"entries": entries, "broken": broken}


def _usable(role: str, claim: Any, claims: list[Any], builtin: Any) -> str:
    """``yes``, or why selecting this entry would be refused."""
    if role == "command" and claim.entry.name in builtin:
        return "refused: a built-in command has this name"
    others = [
        other.origin.distribution
        for other in claims
        if other is not claim and other.entry.name == claim.entry.name
    ]
    return f"refused: also claimed by {', '.join(others)}" if others else "yes"


def _show(data: dict[str, Any]) -> None:
    from foretell.cli.output import out, table

    rows = []
    for entry in data["entries"]:
        note = "" if entry["usable"] == "yes" else f"   {entry['usable']}"
        rows.append(
            (entry["role"], entry["name"], entry["distribution"], f"{entry['summary']}{note}")
        )
    for line in table(rows):
        out(line)
    for item in data["broken"]:
        out(f"broken   {item['plugin']}   {item['distribution']}   {item['reason']}")
