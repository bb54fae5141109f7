"""``sdk compare``: two runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.exits import Exit
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.store.compare import Comparison
    from foretell.store.sides import Side


@click.command("compare")
@click.argument("a", metavar="A", type=options.RunType())
@click.argument("b", metavar="B", type=options.RunType())
@click.option("--values", metavar="N", type=click.IntRange(1),
              help="Also compare the values of N chunks, the same ones every time.")  # fmt: skip
@options.common
@click.pass_obj
def command(session: Session, a: str, b: str, values: int | None) -> int:
    """Show how the runs A and B differ: settings, data and code, versions, rows, stored bytes
    chunk by chunk, speed, failures.

    Exits with 0 when both are one job with the same outcome, 3 when they differ. Where a run lies,
    what it ran on, how fast, and attempts that were made good make no difference.
    """
    from foretell.cli.comparing import lines_of
    from foretell.cli.output import emit, out
    from foretell.cli.parts import open_store, writer_of
    from foretell.store.compare import compare, with_values
    from foretell.store.sides import side_of

    sides = [side_of(open_store(run)) for run in (a, b)]
    comparison = compare(*sides)
    if values is not None:
        comparison = with_values(comparison, writer_of, values)
    if session.json:
        emit("compare", document_of(comparison))
    else:
        for line in lines_of(comparison):
            out(line)
    return Exit.COMPLETE if comparison.equal else Exit.PARTIAL


def document_of(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data."""
    from dataclasses import asdict

    parts = ("config", "content", "outputs", "versions", "environment")
    measures = ("totals", "speed", "failures")
    values = comparison.values
    return {
        "equal": comparison.equal,
        "reasons": comparison.reasons,
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        **{name: [asdict(item) for item in getattr(comparison, name)] for name in parts},
        **{
            name: [{**asdict(item), "ratio": item.ratio} for item in getattr(comparison, name)]
            for name in measures
        },
        "bytes": asdict(comparison.digests),
        "values": None
        if values is None
        else [{**asdict(value), "share": value.share, "same": value.same} for value in values],
        "sampled": list(comparison.sampled),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "run": side.shown,
        "state": side.word,
        "created": side.manifest.created,
        "problem": side.problem,
    }
