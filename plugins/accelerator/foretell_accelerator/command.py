"""``sdk compile``: a job's model, compiled ahead of time into an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell_accelerator.manifest import Manifest


@click.command("compile")
@options.job
@click.option(
    "--artifact", metavar="DIR", required=True, type=click.Path(), help="Folder to be made."
)
@click.option("--name", metavar="NAME", help="Of the artifact; the folder's by default.")
@options.common
@click.pass_obj
def command(
    session: Session,
    job_file: str | None,
    source: str | None,
    model: str | None,
    output: str | None,
    sets: tuple[str, ...],
    artifact: str,
    name: str | None,
) -> int:
    """Compile the model of a job into a folder that sdk predict runs without it.

    The first rows of the job's source say the shapes and are the calibration batch: how far the
    compiled outputs are from the model's is measured on them, printed and recorded. Set the target
    and its precision in [deployer].
    """
    from pathlib import Path

    from foretell.cli.jobs import job_of, with_origin
    from foretell.cli.output import emit, out, table
    from foretell.errors import ForetellError

    from foretell_accelerator.jobs import compile_job

    # Nothing is predicted, so a job without a place for that will do.
    short = {"source": source, "model": model, "output": artifact if output is None else output}
    job = job_of(job_file, sets, short)
    folder = Path(artifact)
    try:
        manifest = compile_job(job, folder, name or folder.name)
    except ForetellError as error:
        raise with_origin(error, job) from error.__cause__
    if session.json:
        emit("compile", {"artifact": str(folder.absolute()), "manifest": manifest.to_json()})
        return 0
    for line in table(facts(folder, manifest)):
        out(line)
    return 0


def facts(folder: Any, manifest: Manifest) -> list[tuple[str, str]]:
    """What was made, as lines for people."""
    from foretell.text import size

    total = sum(count for count, _ in manifest.files.values())
    lines = [
        ("artifact", f"{folder} ({len(manifest.files)} files, {size(total)})"),
        ("target", f"{manifest.target}, {manifest.precision}, {manifest.device}"),
    ]
    for program in manifest.programs:
        inputs = ", ".join(f"{spec.name} {spec.describe()}" for spec in program.inputs[:4])
        more = f" and {len(program.inputs) - 4} more" if len(program.inputs) > 4 else ""
        lines.append((f"program {program.name}", inputs + more))
        # Of a decoder the logits count: keys and values only feed the next step.
        shown = [spec.name for spec in program.outputs][: 4 if program.role == "main" else 1]
        for output in shown:
            lines.append(("", f"{output}: {_apart(manifest.calibration[program.name][output])}"))
    if manifest.rewrites:
        lines.append(("rewrites", ", ".join(manifest.rewrites)))
    return lines


def _apart(apart: Mapping[str, Any]) -> str:
    if "equal" in apart:
        return f"{apart['equal']:.2%} of the values are the model's"
    most, largest = _figure(apart["max_abs"]), _figure(apart["largest"])
    return f"differs by {most} at most, of values up to {largest}"


def _figure(value: float | None) -> str:
    return "no number" if value is None else f"{value:.2g}"
