"""``sdk resume``: continue a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.cli.progress import Sink


@click.command("resume")
@options.run_argument
@options.settings
@options.take_over
@options.progress
@options.common
@click.pass_obj
def command(session: Session, run: str, sets: tuple[str, ...], take_over: bool) -> int:
    """Continue a run with the job it was started with.

    --set may change [schedule] only: everything else belongs to the run. Rows and chunks that
    failed are not repeated; `sdk retry` does that.
    """
    from foretell.cli.driving import drive
    from foretell.cli.jobs import parse_schedule_sets
    from foretell.cli.parts import locate

    url = locate(run)
    changed = parse_schedule_sets(sets)

    def start(sink: Sink) -> Any:
        from foretell.run import resume_run

        return resume_run(
            url,
            take_over=take_over,
            sink=sink,
            command=session.command,
            watch=True,
            sets=changed,
        )

    return drive(session, url, start)
