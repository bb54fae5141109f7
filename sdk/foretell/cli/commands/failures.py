"""``sdk failures``: what failed, grouped by cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.store.failure_records import FailureGroup

ROWS_SHOWN = 5


@click.command("failures")
@options.run_argument
@click.option("--kind", metavar="KIND", help="Only this cause.")
@click.option("--traceback", "tracebacks", is_flag=True, help="With the stored tracebacks.")
@options.common
@click.pass_obj
def command(session: Session, run: str, kind: str | None, tracebacks: bool) -> int:
    """Show what failed, grouped by cause: how often, in which chunks, which rows, and why."""
    from foretell.cli.output import emit
    from foretell.cli.parts import locate, open_store
    from foretell.redact import redact_url
    from foretell.store.failure_records import group_failures, read_failures
    from foretell.store.snapshot import open_snapshot

    objects = open_store(run)
    table = open_snapshot(objects).table
    groups = [
        group
        for group in group_failures(read_failures(objects), table)
        if kind is None or group.example.kind == kind
    ]
    url = redact_url(locate(run))
    if session.json:
        emit("failures", {"run": url, "groups": [_document(group) for group in groups]})
        return 0
    _show(groups, url, tracebacks)
    if not groups:
        session.messages.say("nothing failed" if kind is None else f"no failure of kind {kind}")
    return 0


def _show(groups: Sequence[FailureGroup], url: str, tracebacks: bool) -> None:
    from foretell.cli.output import out, table
    from foretell.cli.progress.words import clock
    from foretell.text import clip, word

    for group in groups:
        example = group.example
        out(f"{group.count:,} x {example.kind}: {clip(example.message, 160)}")
        facts = [
            ("chunks", ranges(group.chunks)),
            ("rows", f"{group.row_count:,} without a prediction" if group.row_count else ""),
            ("now", "" if group.standing else "made good: later attempts took their place"),
            *_rows(group),
            ("at", example.frame),
            ("last", f"{clock(group.last)}, attempt {example.attempt}, {_worker(example.worker)}"),
            ("try", f"sdk retry {word(url)} --kind {word(example.kind)}" if group.standing else ""),
        ]
        for line in table(((label, text) for label, text in facts if text), indent="  "):
            out(line)
        for text in example.traceback.splitlines() if tracebacks else ():
            out(f"    {text}")
        out()


def _rows(group: FailureGroup) -> list[tuple[str, str]]:
    shown = [
        ("row", f"{row.row:,}  {row.locator}  {row.message}".rstrip())
        for row in group.rows[:ROWS_SHOWN]
    ]
    more = len(group.rows) - len(shown)
    return [*shown, ("", f"and {more:,} more; --json lists them")] if more > 0 else shown


def _worker(worker: str) -> str:
    return f"worker {worker}" if worker else "by the driver"


def ranges(numbers: Iterable[int], most: int = 12) -> str:
    """``5, 9-12, 40`` for ascending numbers, cut after ``most`` ranges."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs[:most]]
    if len(runs) > most:
        shown.append(f"… {sum(last - first + 1 for first, last in runs[most:]):,} more")
    return ", ".join(shown)


def _document(group: FailureGroup) -> dict[str, Any]:
    example = group.example
    return {
        "kind": example.kind,
        "message": example.message,
        "count": group.count,
        "standing": group.standing,
        "chunks": list(group.chunks),
        "row_count": group.row_count,
        "rows": [
            {"row": row.row, "kind": row.kind, "message": row.message, "locator": row.locator}
            for row in group.rows
        ],
        "first": group.first,
        "last": group.last,
        "attempt": example.attempt,
        "worker": str(example.worker),
        "frame": example.frame,
        "traceback": example.traceback,
    }
