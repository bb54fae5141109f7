"""``sdk verify``: every stored byte against the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.exits import Exit
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.store.verify import Problem

SHOWN = 50


@click.command("verify")
@options.run_argument
@click.option("--deep", is_flag=True, help="Read and decode every object, not only its size.")
@click.option(
    "--requeue", is_flag=True, help="Record what is damaged, so that resume computes it again."
)
@options.common
@click.pass_obj
def command(session: Session, run: str, deep: bool, requeue: bool) -> int:
    """Check that everything the ledger says is done is there as it was written.

    Exits with 0 when clean, 3 when something is damaged, 5 when the ledger itself is broken.
    """
    from foretell.cli.output import emit
    from foretell.cli.parts import locate, open_snapshot_of, writer_of
    from foretell.redact import redact_url
    from foretell.store.verify import verify

    objects, snapshot = open_snapshot_of(run)
    report = verify(snapshot, writer_of(snapshot, objects), deep=deep)
    damaged = sorted({p.chunk for p in report.problems if p.chunk is not None and p.chunk >= 0})
    requeued = 0
    if requeue and damaged:
        from foretell.run.requeue import requeue_chunks

        requeued = requeue_chunks(locate(run), damaged, session.command, session.messages.say)
    url = redact_url(locate(run))
    if session.json:
        emit("verify", _document(url, deep, report, requeued))
    else:
        _show(url, deep, report.problems, snapshot, damaged, requeued)
    return int(report.exit_code)


def _show(
    url: str,
    deep: bool,
    problems: Sequence[Problem],
    snapshot: Any,
    damaged: Sequence[int],
    requeued: int,
) -> None:
    from foretell.cli.output import out, table
    from foretell.text import plural

    totals = snapshot.table.totals(snapshot.plan.n_rows, snapshot.plan.chunk_rows)
    how = "every byte" if deep else "sizes"
    checked = f"{plural(totals.done, 'done chunk')} of {totals.chunks:,}"
    if not problems:
        out(f"{url}   clean: {checked} checked ({how})")
        return
    out(f"{url}   {plural(len(problems), 'problem')} in {checked} ({how})")
    rows = [(p.kind, _chunk(p.chunk), p.object or "", p.text) for p in problems[:SHOWN]]
    for line in table(rows, indent="  "):
        out(line)
    if len(problems) > SHOWN:
        out(f"  and {len(problems) - SHOWN:,} more; --json lists them")
    if requeued:
        out(f"  {plural(requeued, 'chunk')} recorded as damaged; next: sdk resume {url}")
    elif damaged:
        out(f"  next: sdk verify {url} --requeue, then sdk resume {url}")


def _chunk(chunk: int | None) -> str:
    return "" if chunk is None or chunk < 0 else f"chunk {chunk}"


def _document(url: str, deep: bool, report: Any, requeued: int) -> dict[str, Any]:
    return {
        "run": url,
        "deep": deep,
        "clean": int(report.exit_code) == Exit.COMPLETE,
        "exit_code": int(report.exit_code),
        "problems": [
            {"chunk": p.chunk, "object": p.object, "kind": str(p.kind), "text": p.text}
            for p in report.problems
        ],
        "requeued": requeued,
    }
