"""From what was typed to a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foretell.cli.parts import plugins
from foretell.config.load import DEFAULT, Job, Typed, load_job
from foretell.errors import ForetellError, StorageError, StoreError, UsageError

DEFAULT_FILE = "job.toml"

_SHORT = {"source": "source.path", "model": "predictor.model", "output": "writer.path"}


def parse_sets(sets: Sequence[str]) -> dict[str, Typed]:
    """``key=value`` texts as settings; the last of one key counts.

    Raises:
        UsageError: one has no ``=`` or no key.
    """
    parsed: dict[str, Typed] = {}
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                "--set takes KEY=VALUE",
                facts=[("got", text)],
                tries=[("--set schedule.workers=4", "for example")],
            )
        parsed[key.strip()] = Typed(value)
    return parsed


def parse_schedule_sets(sets: Sequence[str]) -> dict[str, Any]:
    """``--set`` of commands that continue a run: names in ``[schedule]``, all that may change.

    Raises:
        UsageError: another section, because it belongs to the run's fingerprint.
    """
    changed = {}
    for key, value in parse_sets(sets).items():
        section, _, name = key.partition(".")
        if section != "schedule" or not name:
            raise UsageError(
                f"{key} cannot change in a run that was begun",
                facts=[("allowed", "settings of [schedule]")],
                tries=[("sdk predict … --output …", "a run of its own with this setting")],
            )
        changed[name] = value
    return changed


def job_of(job_file: str | None, sets: Sequence[str], short: Mapping[str, str | None]) -> Job:
    """The job that a command line describes.

    Args:
        job_file: As typed; ``job.toml`` here when nothing but settings was typed.
        sets: ``key=value`` texts.
        short: ``source``, ``model`` and ``output`` as typed.
    """
    values: dict[str, Any] = {**parse_sets(sets)}
    labels = {}
    for name, key in _SHORT.items():
        value = short.get(name)
        if value is not None:
            values[key] = value
            labels[key] = f"--{name}"
    return load_job(
        job_file if job_file is not None else _default_file(short),
        sets=values,
        labels=labels,
        resolve=plugins().resolve,
        default_deployer=plugins().default_deployer,
    )


def _default_file(short: Mapping[str, str | None]) -> str | None:
    """``job.toml`` of this folder, unless options name both the data and the model."""
    if short.get("source") is not None and short.get("model") is not None:
        return None
    return DEFAULT_FILE if Path(DEFAULT_FILE).is_file() else None


_NAMED_IN_ERRORS = (
    "source.path",
    "predictor.model",
    "predictor.checkpoint",
    "predictor.collate",
    "predictor.postprocess",
    "writer.path",
)


def with_origin(error: ForetellError, job: Job) -> ForetellError:
    """Add where the setting an error talks about was given, if it talks about one.

    The parts of a run know their settings, but not who typed them.
    """
    told = "\n".join([error.message, *(text for _, text in error.facts)])
    stored = isinstance(error, StoreError | StorageError)
    first = ("writer.path",) if stored else ()
    for key in dict.fromkeys((*first, *_NAMED_IN_ERRORS)):
        section, _, name = key.partition(".")
        value = getattr(job.section(section), name, None)
        origin = job.origin(key)
        if isinstance(value, str) and value and value in told and origin not in (DEFAULT, ""):
            if origin not in told:
                error.facts = (*error.facts, ("from", f"{key} ({origin})"))
            break
    return error
