"""``sdk init``: a job that runs as it is."""

from __future__ import annotations

import json
from pathlib import Path

import click

from foretell.cli import options
from foretell.cli.session import Session

JOB = """\
#:schema job.schema.json
version = 1

[source]
kind = "jsonl"                # sdk plugins lists the kinds
path = "data.jsonl"

[predictor]
kind = "callable"
model = "model.py:predict"    # a function on a list of records, or on an array
batch_size = 4

[writer]
kind = "zarr"
path = "runs/first.zarr"
keep = ["id"]                 # input columns carried to the output

[schedule]
workers = 1                   # processes; 0 = inside the command
"""

MODEL = '''\
"""The model of this job. Replace the body of `predict` by your own."""

import numpy as np


def predict(records):
    """Predict one batch.

    Args:
        records: One dict for each row.

    Returns:
        Outputs by name, one value for each record.
    """
    texts = [record["text"] for record in records]
    return {
        "length": np.array([len(text) for text in texts], dtype="int32"),
        "shouting": np.array([sum(map(str.isupper, text)) / len(text) for text in texts]),
    }
'''

TEXTS = (
    "the quick brown fox",
    "JUMPS OVER",
    "the lazy Dog",
    "a line of text",
    "ANOTHER ONE",
    "and one more",
    "Half UPPER half LOWER",
    "short",
    "this one is a little longer than the others",
    "ten",
)


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False))
@click.option("--force", is_flag=True, help="Replace files that are there.")
@options.common
@click.pass_obj
def command(session: Session, folder: str, force: bool) -> int:
    """Write job.toml, model.py, a little data and the job's JSON Schema into DIR."""
    from foretell.cli.output import emit, out

    place = Path(folder)
    files = _files()
    if not force:
        _refuse_replacing(place, list(files))
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    written = [str(place / name) for name in files]
    if session.json:
        emit("init", {"files": written})
        return 0
    for path in written:
        out(path)
    from foretell.text import word

    session.messages.say(f"now run: sdk predict {word(place / 'job.toml')}")
    return 0


def _files() -> dict[str, str]:
    from foretell.cli.commands.config import schema_of

    kinds: dict[str, str | None] = {"source": "jsonl", "predictor": "callable", "writer": "zarr"}
    data = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(TEXTS))
    schema = json.dumps(schema_of({**kinds, "deployer": None}), indent=2)
    return {
        "job.toml": JOB,
        "model.py": MODEL,
        "data.jsonl": data,
        "job.schema.json": schema + "\n",
    }


def _refuse_replacing(place: Path, names: list[str]) -> None:
    from foretell.errors import UsageError

    there = [name for name in names if (place / name).exists()]
    if there:
        raise UsageError(
            "init would replace files",
            facts=[("folder", str(place)), ("there", ", ".join(there))],
            tries=[("sdk init DIR", "another folder"), ("--force", "replaces them")],
        )
