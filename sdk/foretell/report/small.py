"""A run in a few lines of HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable

from foretell.report import svg
from foretell.report.markup import safe
from foretell.report.view import RunView

CELLS = 480
COLUMNS = 60
_COLOURS = {
    "pending": "#b9c0ca",
    "partly": "#2f8f6b",
    "done": "#2f8f6b",
    "running": "#2f6fd0",
    "retrying": "#b58a00",
    "quarantined": "#8a5bbf",
    "damaged": "#d1478c",
    "failed": "#c8361d",
}


def html_of(view: RunView, outputs: Iterable[tuple[str, str]]) -> str:
    """A small table and the chunk map. Styles are inline: a notebook has its own.

    Args:
        view: The run, with a map of at most :data:`CELLS` cells.
        outputs: Name and description of each output.
    """
    standing = view.standing
    totals = standing.totals
    share = 100.0 * totals.rows_done / totals.rows if totals.rows else 100.0
    rows: list[tuple[str, str]] = [
        ("store", standing.shown),
        ("state", standing.word.lower()),
        ("rows", f"{totals.rows_done:,} of {totals.rows:,} ({share:.1f} %)"),
        ("chunks", f"{totals.done:,} of {totals.chunks:,}"),
        ("without a prediction", f"{totals.rows_quarantined + totals.rows_failed:,} rows"),
        *outputs,
    ]
    cells = "".join(
        f"<tr><th style='text-align:left'>{safe(label)}</th><td>{safe(text)}</td></tr>"
        for label, text in rows
    )
    return f"<table>{cells}</table>{_map(view)}"


def _map(view: RunView) -> str:
    if not len(view.chunks.marks):
        return ""
    drawn = svg.chunk_map(view.chunks, columns=COLUMNS, width=480)
    for name, colour in _COLOURS.items():
        drawn = drawn.replace(f'class="s-{name}', f'fill="{colour}" class="s-{name}')
    for shade in range(1, svg.SHADES + 1):
        drawn = drawn.replace(f' p{shade}"', f'" opacity="{shade / (svg.SHADES + 1):.1f}"')
    return f"<div style='max-width:480px'>{drawn}</div>"
