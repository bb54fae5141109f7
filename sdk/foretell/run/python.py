"""``foretell.predict``: the whole of it from Python, with live objects or with paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foretell.config.job import Job
from foretell.config.load import load_job
from foretell.engine import parts
from foretell.engine.recorder import ProgressSink
from foretell.errors import ConfigError, ForetellError, PartialResult
from foretell.run.execute import SilentSink, output_of, predict_job
from foretell.run.handle import Run, open_run
from foretell.run.outcome import Outcome
from foretell.text import word

SHORT = {
    "model": "predictor.model",
    "source": "source.path",
    "output": "writer.path",
    "batch_size": "predictor.batch_size",
}
"""Short arguments and the settings they stand for."""


def predict(
    model: Any,
    source: Any,
    output: str | os.PathLike[str],
    *,
    batch_size: int | str | None = None,
    collate: Callable[[Any], Any] | str | None = None,
    postprocess: Callable[[Any], Any] | str | None = None,
    predictor: Mapping[str, Any] | None = None,
    deployer: Mapping[str, Any] | None = None,
    writer: Mapping[str, Any] | None = None,
    schedule: Mapping[str, Any] | None = None,
    source_options: Mapping[str, Any] | None = None,
    take_over: bool = False,
    allow_partial: bool = False,
    progress: ProgressSink | None = None,
) -> Run:
    """Run a model over data and return the run; continue it when it is the same job.

    Live objects (an array, a list, a function, a module) run inside this process by default;
    paths and import strings run as the command would, with ``workers = 1``.

    Args:
        model: A callable on batches, a live model a plugin knows, or an import string; None where
            the predictor's own settings name its models.
        source: An array, columns, a list of records, anything with length and items, or a path.
        output: Path or URL of the run store.
        batch_size: Rows per batch, or ``"auto"``.
        collate: Examples to the model's inputs; live or an import string.
        postprocess: Predictions to named outputs; live or an import string.
        predictor, deployer, writer, schedule, source_options: Further settings by section.
        take_over: Fence a driver that holds the run.
        allow_partial: Return the run even when some rows have no prediction.
        progress: Shows the run while it goes on.

    Returns:
        The finished run, open for reading.

    Raises:
        PartialResult: rows or chunks failed, unless ``allow_partial``.
        Interrupted: the run was drained on a signal or for its walltime; call again to go on.
        ForetellError: see :func:`foretell.run.predict_job`.
    """
    live: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {
        "source": dict(source_options or {}),
        "predictor": dict(predictor or {}),
        "deployer": dict(deployer or {}),
        "writer": dict(writer or {}),
        "schedule": dict(schedule or {}),
    }
    sections["writer"]["path"] = os.fspath(output)
    if batch_size is not None:
        sections["predictor"]["batch_size"] = batch_size
    _take_source(source, sections["source"], live)
    take_model(model, sections["predictor"], live)
    for name, given in (("collate", collate), ("postprocess", postprocess)):
        if callable(given):
            live[name] = given
        elif given is not None:
            sections["predictor"][name] = given
    if live:
        sections["schedule"].setdefault("workers", 0)
    job = _job(sections)
    outcome = predict_job(
        job,
        take_over=take_over,
        sink=progress or SilentSink(),
        live=live,
        command="foretell.predict",
    )
    _raise_for(outcome, allow_partial)
    return open_run(output_of(job))


def _take_source(source: Any, section: dict[str, Any], live: dict[str, Any]) -> None:
    if isinstance(source, str | Path):
        section["path"] = os.fspath(source)
        return
    live["source"] = source
    section.setdefault("kind", _recognised("source", source, section))


def take_model(model: Any, section: dict[str, Any], live: dict[str, Any]) -> None:
    """Sort a model argument into settings (an import string) or live objects."""
    if model is None:
        return
    if isinstance(model, str | Path):
        section["model"] = os.fspath(model)
        return
    live["model"] = model
    section.setdefault("kind", _recognised("predictor", model, section))


def _recognised(role: str, value: object, section: Mapping[str, Any]) -> str:
    """The kind that knows what to do with a live object: plugins first, built-ins last."""
    known = parts.plugins()
    claims = sorted(known.claims(role), key=lambda claim: claim.builtin)
    select = known.predictor if role == "predictor" else known.source
    for claim in claims:
        cls: type[Any] = _quietly(select, claim.entry.name)
        if cls is not None and cls.recognises(value):
            return claim.entry.name
    what = "model" if role == "predictor" else "source"
    raise ConfigError(
        f"no plugin knows what to do with this {what}",
        facts=[("got", type(value).__name__), ("kinds", ", ".join(c.entry.name for c in claims))],
        tries=[
            (f'{role if role == "predictor" else "source_options"}={{"kind": "…"}}', "name one")
        ],
        slug="unknown-object",
    )


def _quietly(select: Callable[[str], Any], kind: str) -> Any:
    try:
        return select(kind)
    except ForetellError:
        return None  # not installed or broken: it cannot be the one that is meant


def _job(sections: Mapping[str, Mapping[str, Any]]) -> Job:
    known = parts.plugins()
    sets = {name: table for name, table in sections.items() if table}
    labels = {long: f"{short}=" for short, long in SHORT.items()}
    return load_job(
        None,
        sets=sets,
        labels=labels,
        resolve=known.resolve,
        default_deployer=known.default_deployer,
    )


def _raise_for(outcome: Outcome, allow_partial: bool) -> None:
    if outcome.exit_code == 0 or (outcome.exit_code == 3 and allow_partial):
        return
    if outcome.error is not None:
        raise outcome.error
    if outcome.exit_code == 3:
        raise PartialResult(
            outcome.reason or "some rows have no prediction",
            facts=[("store", outcome.url)],
            tries=[
                ("allow_partial=True", "take what there is"),
                (f"sdk failures {word(outcome.url)}", "what failed, grouped by cause"),
            ],
        )
    raise _error_for(outcome)


def _error_for(outcome: Outcome) -> ForetellError:
    from foretell import errors

    kinds: dict[int, type[ForetellError]] = {
        4: errors.LoadError,
        5: errors.StoreError,
        6: errors.HeldError,
        7: errors.BudgetError,
        75: errors.Interrupted,
        130: errors.Interrupted,
    }
    cls = kinds.get(outcome.exit_code, ForetellError)
    tries = (
        [("foretell.predict(...)", "call it again to go on")] if cls is errors.Interrupted else []
    )
    return cls(outcome.reason or str(outcome.state), facts=[("store", outcome.url)], tries=tries)
