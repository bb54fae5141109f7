"""``sdk status``: how a run stands, on one screen."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.store.standing import Standing


@click.command("status")
@options.run_argument
@click.option(
    "--exit-code", is_flag=True, help="Exit with the run's own code; 75 when lost or interrupted."
)
@options.common
@click.pass_obj
def command(session: Session, run: str, exit_code: bool) -> int:
    """Show how a run stands: progress, speed, the end as a range, failures, what to do next."""
    from foretell.cli.output import emit, out
    from foretell.cli.parts import open_store
    from foretell.cli.standing import lines_of
    from foretell.store.rings import read_workers
    from foretell.store.standing import standing_of

    objects = open_store(run)
    standing = standing_of(objects)
    if session.json:
        _, workers = read_workers(objects)
        emit("status", {**document_of(standing), "workers": workers})
    else:
        for line in lines_of(standing):
            out(line)
    return standing.exit_code if exit_code else 0


def document_of(standing: Standing) -> dict[str, Any]:
    """The standing as plain data."""
    manifest = standing.manifest
    return {
        "run": standing.shown,
        "state": standing.state,
        "pulse": standing.pulse,
        "pulse_text": standing.pulse_text,
        "quiet_seconds": standing.quiet,
        "exit_code": standing.exit_code,
        "head": asdict(standing.head) if standing.head is not None else None,
        "totals": asdict(standing.totals),
        "created": manifest.created,
        "live": manifest.live,
        "versions": dict(manifest.versions),
        "next": [list(pair) for pair in standing.tries],
    }
