"""The parts of the page, each from the one view of the run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from foretell.previews import cells
from foretell.previews.drawing import lines_of
from foretell.previews.values import Image
from foretell.report import svg
from foretell.report.chunk_map import Mark
from foretell.report.markup import folded, pairs, pre, safe, table, tag
from foretell.report.png import data_uri
from foretell.report.view import Picture, RunView
from foretell.store.columns import pack_ids
from foretell.store.compare import flattened
from foretell.store.failure_records import FailureGroup
from foretell.store.sides import ChunkTimes
from foretell.store.standing import Standing
from foretell.text import clip, duration, plural, size
from foretell.types import ChunkState, RunState

MOST_GROUPS = 200
MOST_TRACEBACKS = 20
MOST_TRACEBACK = 8_000
MOST_WORKERS = 200
MOST_IDS = 300
MOST_ROWS = 20
LINE = 100


def verdict(standing: Standing) -> str:
    """How the run stands, in words and colour: green only when nothing is missing."""
    style = "warn"
    if standing.state == RunState.DONE:
        style = "good"
    elif standing.lost or standing.state == RunState.FAILED:
        style = "bad"
    reason = standing.head.reason if standing.head is not None else ""
    words = " · ".join(text for text in (standing.word, standing.pulse_text, reason) if text)
    return f'<span class="{style}">{safe(words)}</span>'


def chunk_map(view: RunView) -> str:
    """The map, its scale, its legend with exact numbers."""
    if not len(view.chunks.marks):
        return tag("p", "there are no chunks", "soft")
    totals = view.standing.totals
    counts = {state.name.lower(): getattr(totals, state.name.lower()) for state in ChunkState}
    legend = "".join(
        f'<span><i class="s-{name}"></i>{name} {count:,}</span>'
        for name, count in counts.items()
        if count
    )
    table_ = view.snapshot.table
    spoilt = int(((table_.state == ChunkState.DONE) & (table_.quarantined > 0)).sum())
    if spoilt:
        legend += f'<span><i class="s-quarantined"></i>done, rows quarantined {spoilt:,}</span>'
    if (view.chunks.marks == Mark.PARTLY).any():
        legend += '<span><i class="s-partly"></i>partly done</span>'
    scale = "1 cell = 1 chunk"
    if view.chunks.per_cell > 1:
        scale = f"1 cell = up to {plural(view.chunks.per_cell, 'chunk')}, the worst of them shown"
    return svg.chunk_map(view.chunks) + tag("div", legend, "legend") + tag("p", scale, "soft")


def timeline(view: RunView) -> str:
    """One line a worker."""
    shown = view.timeline
    if not shown.workers:
        return ""
    hosts = {share.index: share.host for share in view.shares}
    names = [clip(f"w{index:02d} {hosts.get(index, '')}", 14) for index in shown.workers]
    note = f"{moment(shown.begin)} to {moment(shown.end)}"
    if shown.pauses:
        note += f", {plural(len(shown.pauses), 'pause')} shortened (dashed)"
    if shown.again.any():
        note += ", attempts after the first in yellow"
    if shown.more:
        note += f", {plural(shown.more, 'more worker')} not shown"
    return svg.timeline(shown, names) + tag("p", safe(note), "soft")


def pace(view: RunView) -> str:
    """Rows a second over time, and seconds of a chunk."""
    found = view.pace
    if not len(found.rates):
        return ""
    over = f"rows a second, peak {found.rates.max():,.0f}, over {duration(found.seconds)} at work"
    chunks = (
        f"seconds of a chunk, {found.low:.3g} to {found.high:.3g}, "
        f"p50 / p95 {seconds_pair(view.times)}"
    )
    return (
        svg.line(found.rates, "rows a second over time")
        + tag("p", safe(over), "soft")
        + svg.bars(found.counts, "how long chunks took")
        + tag("p", safe(chunks), "soft")
    )


def seconds_pair(times: ChunkTimes) -> str:
    """``3.4 / 5.1 s``; empty where no chunk is done."""
    if times.p50 is None or times.p95 is None:
        return ""
    return f"{times.p50:.3g} / {times.p95:.3g} s"


def failures(view: RunView) -> str:
    """What failed, grouped, tracebacks folded away."""
    if view.problem:
        return tag("p", safe(f"the failures cannot be read: {view.problem}"), "warn")
    if not view.failures:
        totals = view.standing.totals
        lost = totals.rows_failed + totals.rows_quarantined
        told = "the store holds no details of what failed" if lost else "nothing failed"
        return tag("p", told, "soft")
    shown = view.failures[:MOST_GROUPS]
    text = "".join(_group(group, i < MOST_TRACEBACKS) for i, group in enumerate(shown))
    more = len(view.failures) - len(shown)
    return text + (tag("p", f"and {more:,} more kinds", "soft") if more else "")


def _group(group: FailureGroup, with_traceback: bool) -> str:
    example = group.example
    title = f"{group.count:,} × {example.kind}: {clip(example.message, 300)}"
    facts = [
        ("chunks", _ids(group.chunks)),
        ("rows", f"{group.row_count:,} without a prediction" if group.row_count else ""),
        ("now", "" if group.standing else "made good by later attempts"),
        ("at", example.frame),
        ("last", f"{moment(group.last)}, attempt {example.attempt}"),
    ]
    text = tag("h3", safe(title)) + pairs(facts)
    if group.rows:
        rows = [(f"{r.row:,}", r.locator, clip(r.message, 200)) for r in group.rows[:MOST_ROWS]]
        more = len(group.rows) - len(rows)
        note = tag("p", f"and {more:,} more", "soft") if more > 0 else ""
        text += folded("rows", table(("row", "where", "why"), rows) + note)
    if with_traceback and example.traceback:
        text += folded("traceback", pre(example.traceback[-MOST_TRACEBACK:]))
    return text


def _ids(chunks: tuple[int, ...]) -> str:
    import numpy as np

    if not chunks:
        return ""
    return clip(pack_ids(np.array(chunks, dtype=np.int64)).replace(",", ", "), MOST_IDS)


def workers(view: RunView) -> str:
    """What each worker did."""
    rows = [
        (
            f"w{share.index:02d}",
            share.host,
            str(share.pid),
            str(share.session),
            f"{share.chunks:,}",
            f"{share.rows:,}",
            f"{share.seconds:.3g} s",
            f"{share.again:,}",
            _peak(view.samples.get(share.index, {})),
        )
        for share in view.shares[:MOST_WORKERS]
    ]
    header = ("worker", "host", "pid", "session", "chunks", "rows", "a chunk", "again", "peak RSS")
    more = len(view.shares) - len(rows)
    note = tag("p", f"and {more:,} more", "soft") if more > 0 else ""
    return table(header, rows, numbers=range(2, 9)) + note


def _peak(sample: dict[str, Any]) -> str:
    peak = sample.get("rss_peak", sample.get("rss"))
    return size(peak) if isinstance(peak, int | float) and not isinstance(peak, bool) else ""


def outputs(view: RunView) -> str:
    """Every output, and what it looks like."""
    plan = view.snapshot.plan
    rows = [
        (spec.name, spec.dtype, str((plan.n_rows, *spec.shape)), ", ".join(spec.dims))
        for spec in plan.outputs
    ]
    pictures = "".join(_picture(picture) for picture in view.pictures)
    return table(("output", "dtype", "shape", "dimensions"), rows) + pictures


def _picture(picture: Picture) -> str:
    preview = picture.preview
    text = tag("h3", safe((preview.title or picture.name).replace("   ", " · ")))
    text += "".join(tag("p", safe(warning), "warn") for warning in preview.warnings)
    if picture.note:
        text += tag("p", safe(picture.note), "soft")
    if isinstance(preview, Image):
        label = safe(f"picture of {picture.name}")
        return (
            text + f'<img class="picture" alt="{label}" src="{data_uri(cells.colours(preview))}">'
        )
    head = (1 if preview.title else 0) + len(preview.warnings)
    return text + pre("\n".join(lines_of(preview, LINE)[head:]))


def provenance(view: RunView) -> str:
    """Settings, fingerprint, versions, sessions."""
    manifest = view.standing.manifest
    text = table(("session", "began", "host", "pid", "command", "ended"), _sessions(view))
    text += folded("settings", pairs(flattened(manifest.job).items()))
    text += folded("fingerprint", pairs(sorted(manifest.fingerprint.items())))
    text += folded("versions", pairs(sorted(manifest.versions.items())))
    facts = [
        ("created", moment(manifest.created)),
        ("folder", manifest.base_dir),
        ("started from live objects", "yes" if manifest.live else ""),
        ("manifest", manifest.hash),
    ]
    return pairs(facts) + text


def _sessions(view: RunView) -> Iterator[tuple[str, ...]]:
    table_ = view.snapshot.table
    for session in table_.sessions:
        end = table_.endings.get(session.epoch)
        ended = "killed, or still at work"
        if end is not None:
            ended = f"{end.state}, exit {end.exit_code}"
            ended += f": {clip(end.reason, 160)}" if end.reason else ""
        yield (
            str(session.epoch),
            moment(session.time),
            session.host,
            str(session.pid),
            session.command,
            ended,
        )


def moment(seconds: float) -> str:
    """A date and time in UTC; empty where there is none."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds)) if seconds else ""
    except (ValueError, OverflowError, OSError):
        return ""
