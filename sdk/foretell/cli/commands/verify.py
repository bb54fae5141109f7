"""``sdk verify``: every stored byte against the ledger."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.exits import Exit
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.store.report import Report

SHOWN = 50


@click.command("verify")
@options.run_argument
@click.option(
    "--deep", is_flag=True, help="Also decode every chunk and check its shape, dtype and validity."
)
@click.option(
    "--requeue", is_flag=True, help="Record what is damaged, so that resume computes it again."
)
@options.common
@click.pass_obj
def command(session: Session, run: str, deep: bool, requeue: bool) -> int:
    """Check that everything the ledger says is done is there as it was written.

    Exits with 0 when clean, 3 when something is damaged, 5 when the ledger itself is broken.
    """
    from foretell.cli.output import emit, out
    from foretell.cli.parts import open_snapshot_of, writer_of
    from foretell.redact import redact_url
    from foretell.store.verify import verify

    objects, snapshot = open_snapshot_of(run)
    writer = writer_of(snapshot)
    report = verify(snapshot, writer, deep=deep)
    requeued = 0
    if requeue and report.chunks_damaged and report.exit_code == Exit.PARTIAL:
        from foretell.run.requeue import requeue_chunks

        say = session.messages.say
        requeued = requeue_chunks(objects, writer, report.chunks_damaged, session.command, say)
    url = redact_url(objects.url)
    if session.json:
        emit("verify", _document(url, report, requeued))
    else:
        for line in _lines(url, report, requeued):
            out(line)
    return report.exit_code


def _lines(url: str, report: Report, requeued: int) -> list[str]:
    from foretell.cli.output import table
    from foretell.text import plural, size

    checked = (
        f"{report.done:,} of {plural(report.chunks, 'chunk')} done, "
        f"{plural(report.objects, 'object')} ({size(report.bytes)}) checked"
    )
    verdict = "clean" if report.exit_code == Exit.COMPLETE else "damaged"
    lines = [f"{url}   {verdict}: {checked}"]
    rows = [
        ("" if p.damage else "note", p.kind, _chunk(p.chunk), p.object, p.text)
        for p in report.problems[:SHOWN]
    ]
    lines += table(rows, indent="  ")
    if len(report.problems) > SHOWN:
        lines.append(f"  and {len(report.problems) - SHOWN:,} more; --json lists them")
    return lines + _next(url, report, requeued)


def _next(url: str, report: Report, requeued: int) -> list[str]:
    from foretell.text import plural, word

    if requeued:
        recorded = f"  {plural(requeued, 'chunk')} recorded as damaged"
        return [recorded, f"  next   sdk resume {word(url)}      computes them again"]
    if report.exit_code == Exit.STORE:
        return ["  the record is broken: do not resume; restore it from a copy"]
    if report.chunks_damaged:
        return [
            f"  next   sdk verify {word(url)} --requeue      so that resume computes them again"
        ]
    return []


def _chunk(chunk: int | None) -> str:
    return "" if chunk is None else f"chunk {chunk}"


def _document(url: str, report: Report, requeued: int) -> dict[str, Any]:
    return {
        "run": url,
        "deep": report.deep,
        "clean": report.exit_code == Exit.COMPLETE,
        "exit_code": report.exit_code,
        "chunks": report.chunks,
        "done": report.done,
        "objects": report.objects,
        "bytes": report.bytes,
        "chunks_damaged": report.chunks_damaged,
        "problems": [asdict(problem) for problem in report.problems],
        "requeued": requeued,
    }
