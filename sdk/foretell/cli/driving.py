"""Starting a driver from the command line: progress around it, its outcome after it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foretell.cli.jobs import with_origin
from foretell.cli.output import emit, out
from foretell.cli.progress import Sink, choose
from foretell.cli.reports import store_report
from foretell.cli.session import Session
from foretell.config.job import Job
from foretell.errors import ForetellError
from foretell.heap import keep_freed_memory
from foretell.redact import redact_url
from foretell.store.head import Head
from foretell.store.recent import remember_run
from foretell.types import RunState


class _Remembering:
    """A sink that notes the run as the last one once it really runs."""

    def __init__(self, inner: Sink, url: str) -> None:
        self._inner = inner
        self._url = url
        self._noted = False

    def head(self, head: Head) -> None:
        if not self._noted:
            self._noted = True
            remember_run(self._url)
        self._inner.head(head)

    def note(self, level: str, text: str) -> None:
        self._inner.note(level, text)

    def close(self) -> None:
        self._inner.close()


def drive(session: Session, url: str, start: Callable[[Sink], Any], job: Job | None = None) -> int:
    """Run a driver to its end, show it, and return its exit code.

    Args:
        session: This invocation.
        url: The run store, as it can be typed from here.
        start: Called with a progress sink; returns the outcome.
        job: The job, to say where a setting came from when it makes trouble.
    """
    # Without worker processes the batches are computed here.
    keep_freed_memory(len(os.sched_getaffinity(0)))
    sink = choose(session, url)
    try:
        outcome = start(_Remembering(sink, url))
    except ForetellError as error:
        raise with_origin(error, job) if job is not None else error from error.__cause__
    finally:
        sink.close()
    _tell(session, outcome, url)
    return int(outcome.exit_code)


def _tell(session: Session, outcome: Any, url: str) -> None:
    if outcome.error is not None:
        store_report(outcome.error, session.arguments)
        session.messages.error(outcome.error)
    elif outcome.state == RunState.FAILED:
        session.messages.error(ForetellError(outcome.reason, slug="failed"))
    elif outcome.idle:
        session.messages.say(f"{outcome.state} {url}   {outcome.reason}")
    if session.json:
        emit("outcome", outcome_document(outcome, url))
    else:
        out(redact_url(url))


def outcome_document(outcome: Any, url: str) -> dict[str, Any]:
    """What a driver reached, as plain data."""
    return {
        "run": redact_url(url),
        "state": str(outcome.state),
        "exit_code": int(outcome.exit_code),
        "reason": outcome.reason or "",
        "idle": bool(outcome.idle),
        "head": asdict(outcome.head) if outcome.head is not None else None,
    }


def store_place(job: Job) -> str:
    """The run store of a job as it can be typed from here: relative below this folder."""
    place = job.writer.resolve(job.writer.path or "")
    if "://" in place:
        return place
    try:
        return str(Path(place).relative_to(os.getcwd()))
    except ValueError:
        return place
