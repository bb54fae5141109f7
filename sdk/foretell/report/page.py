"""The page: one HTML file about a run that needs no network and no script."""

from __future__ import annotations

import time

from foretell._version import __version__
from foretell.report import parts
from foretell.report.markup import safe, section, tag, tiles
from foretell.report.style import STYLE
from foretell.report.view import RunView
from foretell.text import duration, size


def page_of(view: RunView, now: float | None = None) -> str:
    """The whole page.

    Args:
        view: The run.
        now: Time of writing, seconds since the epoch; the clock's by default.
    """
    standing = view.standing
    written = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    body = (
        tag("h1", safe(standing.shown)),
        tag("p", parts.verdict(standing), "word"),
        _tiles(view),
        section("Chunks", parts.chunk_map(view)),
        section("Workers over time", parts.timeline(view)),
        section("Pace", parts.pace(view)),
        section("Failures", parts.failures(view)),
        section("Workers", parts.workers(view)),
        section("Outputs", parts.outputs(view)),
        section("Where it came from", parts.provenance(view)),
        tag("p", f"written {written} by foretell {safe(__version__)}", "soft"),
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f"<title>{safe(standing.shown)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _tiles(view: RunView) -> str:
    totals, times = view.standing.totals, view.times
    unit = view.standing.head.unit if view.standing.head is not None else "rows"
    percent = totals.rows_done * 1000 // totals.rows / 10 if totals.rows else 100.0
    lost = totals.rows_quarantined + totals.rows_failed
    return tiles(
        [
            (f"of {totals.rows:,} {unit} ({percent:.1f} %)", f"{totals.rows_done:,}"),
            (f"of {totals.chunks:,} chunks done", f"{totals.done:,}"),
            (f"{unit} without a prediction", f"{lost:,}"),
            (
                f"{unit} with a NaN or an infinity",
                f"{totals.rows_nan:,}" if totals.rows_nan else "",
            ),
            (f"{unit}/s while at work", f"{times.rate:,.0f}" if times.rate else ""),
            ("at work", duration(times.busy) if times.busy is not None else ""),
            ("chunk p50 / p95", parts.seconds_pair(times)),
            ("stored", size(totals.bytes_written) if totals.bytes_written else ""),
        ]
    )
