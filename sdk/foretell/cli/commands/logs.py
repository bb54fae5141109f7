"""``sdk logs``: the log of a run."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.store.objects import ObjectStore
    from foretell.store.rings import LogLine

LEVELS = ("debug", "info", "warning", "error")
_ALIASES = {"warn": "warning", "critical": "error"}


@click.command("logs")
@options.run_argument
@click.option("-n", "--lines", default=40, show_default=True, type=click.IntRange(0),
              help="How many of the newest lines; 0 for all there are.")  # fmt: skip
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="This level and above.")
@click.option("--worker", metavar="NAME", help="Only lines of a worker whose name holds this.")
@click.option("--grep", metavar="REGEX", help="Only lines this expression matches.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@options.common
@click.pass_obj
def command(
    session: Session,
    run: str,
    lines: int,
    level: str,
    worker: str | None,
    grep: str | None,
    follow: bool,
) -> int:
    """Show the newest lines of a run's log."""
    from foretell.cli.output import emit, out
    from foretell.cli.parts import locate, open_store
    from foretell.errors import UsageError
    from foretell.redact import redact_url
    from foretell.store.manifest import read_manifest
    from foretell.store.rings import read_log

    if follow and session.json:
        raise UsageError("--follow and --json do not go together")
    wanted = _filter(level, worker, grep)
    objects = open_store(run)
    read_manifest(objects)
    found = [line for line in read_log(objects) if wanted(line)]
    found = found[-lines:] if lines else found
    if session.json:
        emit("logs", {"run": redact_url(locate(run)), "lines": [_document(x) for x in found]})
        return 0
    for line in found:
        out(shown(line))
    if not found and not follow:
        session.messages.say("no such lines in the log")
    if follow:
        for line in followed(objects):
            if wanted(line):
                out(shown(line))
    return 0


def _filter(level: str, worker: str | None, grep: str | None) -> Callable[[LogLine], bool]:
    from foretell.errors import UsageError

    least = LEVELS.index(level)
    try:
        pattern = re.compile(grep) if grep is not None else None
    except re.error as error:
        raise UsageError("--grep takes a regular expression",
                         facts=[("got", str(grep)), ("reason", str(error))]) from None  # fmt: skip

    def wanted(line: LogLine) -> bool:
        return (
            _rank(line.level) >= least
            and (worker is None or worker in line.worker)
            and (pattern is None or pattern.search(line.message) is not None)
        )

    return wanted


def _rank(level: str) -> int:
    name = _ALIASES.get(level.lower(), level.lower())
    return LEVELS.index(name) if name in LEVELS else LEVELS.index("info")


def shown(line: LogLine) -> str:
    """One line as people read it."""
    from foretell.cli.progress.words import clock

    return f"{clock(line.time)} {line.worker} {line.level.upper():<7} {line.message}"


def followed(
    objects: ObjectStore, sleep: Callable[[float], None] = time.sleep
) -> Iterator[LogLine]:
    """Lines as they come, until the run has ended or its driver is lost.

    The newest segment grows until it is full, so it is read again from where it was left.
    """
    from foretell.cli.parts import watch
    from foretell.store.rings import read_log, ring_segments

    looking = watch(objects)
    judgement = looking.look()
    seen = sum(1 for _ in read_log(objects))
    before = ring_segments(objects, "_run/log")[:1]
    while True:
        live = judgement is not None and judgement.live
        lines = list(read_log(objects))
        if ring_segments(objects, "_run/log")[:1] != before:
            # The oldest segment was dropped: count from what is left.
            before, seen = ring_segments(objects, "_run/log")[:1], min(seen, len(lines))
        yield from lines[seen:]
        seen = max(seen, len(lines))
        if not live:
            return
        sleep(1.0)
        judgement = looking.look()


def _document(line: LogLine) -> dict[str, Any]:
    return {
        "time": line.time,
        "level": line.level,
        "worker": line.worker,
        "message": line.message,
    }
