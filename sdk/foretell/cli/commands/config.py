"""``sdk config``: settings, where each came from, and what there is to set."""

from __future__ import annotations

from typing import Any

import click

from foretell.cli import options
from foretell.cli.session import Session


@click.group("config")
def command() -> None:
    """Show, check or describe the settings of a job."""


@command.command("show")
@options.job
@options.common
@click.pass_obj
def show(
    session: Session,
    job_file: str | None,
    source: str | None,
    model: str | None,
    output: str | None,
    sets: tuple[str, ...],
) -> int:
    """Show every setting with the place its value came from."""
    from foretell.cli.jobs import job_of
    from foretell.cli.output import emit, out, table
    from foretell.config.problems import show_value

    job = job_of(job_file, sets, {"source": source, "model": model, "output": output})
    rows = [(key, value, origin) for key, (value, origin) in job.flat().items()]
    if session.json:
        emit(
            "config",
            {"settings": [{"key": k, "value": v, "origin": origin} for k, v, origin in rows]},
        )
        return 0
    for line in table((key, show_value(key, value), origin) for key, value, origin in rows):
        out(line)
    return 0


@command.command("check")
@options.job
@options.common
@click.pass_obj
def check(
    session: Session,
    job_file: str | None,
    source: str | None,
    model: str | None,
    output: str | None,
    sets: tuple[str, ...],
) -> int:
    """Say whether the settings can be used; name everything that is wrong with them."""
    from foretell.cli.jobs import job_of
    from foretell.cli.output import emit, out
    from foretell.config.problems import JobError

    given = {"source": source, "model": model, "output": output}
    try:
        job_of(job_file, sets, given)
    except JobError as error:
        if not session.json:
            raise
        emit("config-check", {"ok": False, "problems": [p.to_json() for p in error.problems]})
        session.messages.error(error)
        return error.exit_code
    if session.json:
        emit("config-check", {"ok": True, "problems": []})
    else:
        out("the job can be used")
    return 0


@command.command("schema")
@click.option("--source", "source_kind", metavar="KIND", default="zarr", show_default=True)
@click.option("--predictor", "predictor_kind", metavar="KIND", default="callable",
              show_default=True)  # fmt: skip
@click.option("--deployer", "deployer_kind", metavar="KIND", help="[default: the predictor's]")
@click.option("--writer", "writer_kind", metavar="KIND", default="zarr", show_default=True)
@options.common
@click.pass_obj
def schema(
    _session: Session,
    source_kind: str,
    predictor_kind: str,
    deployer_kind: str | None,
    writer_kind: str,
) -> int:
    """Print the JSON Schema of a job file, for editors."""
    from foretell.cli.output import json_text, raw

    kinds = {
        "source": source_kind,
        "predictor": predictor_kind,
        "deployer": deployer_kind,
        "writer": writer_kind,
    }
    raw(json_text(schema_of(kinds), indent=2))
    return 0


def schema_of(kinds: dict[str, str | None]) -> dict[str, Any]:
    """The schema of a job file whose parts are of these kinds."""
    from foretell.cli.parts import plugins
    from foretell.config.schedule import ScheduleOptions
    from foretell.config.schema import job_schema

    found = plugins()
    if kinds.get("deployer") is None:
        kinds = {**kinds, "deployer": found.default_deployer(kinds["predictor"] or "callable")}
    models: dict[str, Any] = {
        section: found.resolve(section, kind) for section, kind in kinds.items() if kind
    }
    known = {
        section: sorted({claim.entry.name for claim in found.claims(section)}) for section in kinds
    }
    return job_schema({**models, "schedule": ScheduleOptions}, known)
