"""``sdk plan``: what predict would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from foretell.cli import options
from foretell.cli.session import Session


@click.command("plan")
@options.job
@click.option("--no-probe", is_flag=True, help="Do not time a few batches on a worker.")
@click.option("--sharding", is_flag=True, help="Show where each parameter lies, and why.")
@options.common
@click.pass_obj
def command(
    session: Session,
    job_file: str | None,
    source: str | None,
    model: str | None,
    output: str | None,
    sets: tuple[str, ...],
    no_probe: bool,
    sharding: bool,
) -> int:
    """Show what predict would do: chunks, bytes, files, memory, and how long. Writes nothing."""
    from foretell.cli.jobs import job_of, with_origin
    from foretell.cli.output import emit, out, table
    from foretell.errors import ForetellError

    job = job_of(job_file, sets, {"source": source, "model": model, "output": output})
    try:
        from foretell.run import plan_job

        forecast = plan_job(job, probe=not no_probe)
    except ForetellError as error:
        raise with_origin(error, job) from error.__cause__
    if session.json:
        emit("plan", {"forecast": forecast.to_json()})
    else:
        for line in table(forecast.facts()):
            out(line)
        if sharding:
            for line in _sharding(forecast.sharding):
                out(line)
    return 0


def _sharding(records: Sequence[Mapping[str, object]]) -> list[str]:
    """The parameters as a table."""
    from foretell.cli.output import table

    if not records:
        return ["sharding: the deployer splits no parameters"]
    head = [key.replace("_", " ") for key in records[0]]
    rows = [
        [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in record.values()]
        for record in records
    ]
    return ["", *table([head, *rows])]
