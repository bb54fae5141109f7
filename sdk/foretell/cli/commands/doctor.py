"""``sdk doctor``: this machine, with a fix for each finding."""

from __future__ import annotations

from dataclasses import asdict

import click

from foretell.cli import options
from foretell.cli.exits import Exit
from foretell.cli.session import Session


@click.command("doctor")
@options.common
@click.pass_obj
def command(session: Session) -> int:
    """Check Python, packages, plugins, cache, memory and limits; a fix on each line that needs one.

    Exits with 2 when something would keep a run from starting.
    """
    from foretell.cli.checks import FAIL, all_checks
    from foretell.cli.output import emit, out, table

    checks = list(all_checks())
    failed = any(check.level == FAIL for check in checks)
    if session.json:
        emit("doctor", {"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        rows = [(check.level, check.name, check.text, check.fix) for check in checks]
        for line in table(rows):
            out(line)
    return Exit.USAGE if failed else Exit.COMPLETE
