"""``sdk predict``: plan and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.cli.progress import Sink


@click.command("predict")
@options.job
@options.take_over
@options.progress
@options.common
@click.pass_obj
def command(
    session: Session,
    job_file: str | None,
    source: str | None,
    model: str | None,
    output: str | None,
    sets: tuple[str, ...],
    take_over: bool,
) -> int:
    """Plan and run a job; continue the run at its output when it is the same job.

    Without JOB.toml the file job.toml of this folder is used, unless --source and --model say it
    all. The first Ctrl-C drains and exits with 75, the second stops at once.
    """
    from foretell.cli.driving import drive, store_place
    from foretell.cli.jobs import job_of

    job = job_of(job_file, sets, {"source": source, "model": model, "output": output})

    def start(sink: Sink) -> Any:
        from foretell.run import predict_job

        return predict_job(job, take_over=take_over, sink=sink, command=session.command, watch=True)

    return drive(session, store_place(job), start, job)
