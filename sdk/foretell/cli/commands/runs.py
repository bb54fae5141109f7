"""``sdk runs``: the runs below a folder or prefix."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import click

from foretell.cli import options
from foretell.cli.session import Session

DEEPEST = 8
_MANIFEST = os.path.join("_run", "manifest.json")
_CLOSED = frozenset({"_run", ".git", "__pycache__", "node_modules"})


@click.command("runs")
@click.argument("folder", metavar="[DIR]", default=".")
@click.option("--recent", is_flag=True, help="The runs started last by this user instead.")
@options.common
@click.pass_obj
def command(session: Session, folder: str, recent: bool) -> int:
    """List the runs below DIR (this folder by default) with state, progress, rate, age, size.

    The rate of a run that ended is the average of its last session.
    """
    from foretell.cli.output import emit, out, table
    from foretell.store.recent import recent_runs

    places = recent_runs() if recent else sorted(find_runs(folder))
    found = [row for row in map(row_of, places) if row is not None]
    if session.json:
        emit("runs", {"runs": found})
        return 0
    for line in table(_cells(row) for row in found):
        out(line)
    if not found:
        session.messages.say(f"no runs below {folder}" if not recent else "no recent runs")
    return 0


def find_runs(folder: str) -> Iterator[str]:
    """Paths or URLs of the runs below a folder or an object-store prefix.

    Symbolic links are not followed, a run's own folders not entered.
    """
    if "://" in folder:
        yield from _find_remote(folder)
    else:
        yield from _find_local(folder, DEEPEST)


def _find_remote(prefix: str) -> Iterator[str]:
    from foretell.store.open import open_objects

    base = prefix.rstrip("/")
    for key in open_objects(base).list():
        if key == "_run/manifest.json":
            yield base
        elif key.endswith("/_run/manifest.json"):
            yield f"{base}/{key.removesuffix('/_run/manifest.json')}"


def _find_local(folder: str, depth: int) -> Iterator[str]:
    if os.path.isfile(os.path.join(folder, _MANIFEST)):
        yield os.path.normpath(folder)
        return
    if depth == 0:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    if any(entry.name in ("zarr.json", ".zgroup", ".zarray") for entry in entries):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not _closed(entry.name):
            yield from _find_local(os.path.join(folder, entry.name), depth - 1)


def _closed(name: str) -> bool:
    return name in _CLOSED or name.startswith(".")


def row_of(place: str) -> dict[str, Any] | None:
    """One run as plain data, from its head alone; None where there is none to read."""
    from foretell.cli.parts import watch
    from foretell.cli.progress import words
    from foretell.errors import ForetellError
    from foretell.redact import redact_url
    from foretell.store.open import open_objects

    try:
        looking = watch(open_objects(place))
        judgement = looking.look()
    except ForetellError as error:
        return _unreadable(redact_url(place), error.message)
    head = looking.head
    if head is None or judgement is None:
        if "://" not in place and not os.path.isfile(os.path.join(place, _MANIFEST)):
            return None
        return _unreadable(redact_url(place), "")
    return {
        "run": redact_url(place),
        "state": judgement.state.value,
        "pulse": judgement.pulse.value,
        "percent": words.percent(head),
        "rows": head.totals.rows,
        "rows_per_second": head.rates.rows_per_second if judgement.live else None,
        "average_rows_per_second": head.average_rate,
        "unit": head.unit,
        "age_seconds": max(0.0, time.time() - head.time),
        "bytes": head.totals.bytes_written,
        "exit_code": head.exit_code,
        "problem": "",
    }


def _unreadable(place: str, problem: str) -> dict[str, Any]:
    return {
        "run": place,
        "state": "planned" if not problem else "unknown",
        "pulse": "ended",
        "percent": None,
        "rows": None,
        "rows_per_second": None,
        "average_rows_per_second": None,
        "unit": "rows",
        "age_seconds": None,
        "bytes": None,
        "exit_code": None,
        "problem": problem,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    from foretell.text import duration, size

    lost = row["pulse"] in ("lost", "stale")
    rate = row["rows_per_second"] or row["average_rows_per_second"]
    return [
        row["run"],
        row["pulse"].upper() if lost else row["state"],
        "" if row["percent"] is None else f"{row['percent']:.1f} %",
        "" if row["rows"] is None else f"{row['rows']:,} {row['unit']}",
        "" if rate is None else f"{rate:,.0f} {row['unit']}/s",
        "" if row["age_seconds"] is None else f"{duration(row['age_seconds'])} ago",
        row["problem"] if row["bytes"] is None else size(row["bytes"]),
    ]
