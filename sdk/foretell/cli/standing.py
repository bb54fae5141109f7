"""How a run stands, in words: the lines of ``sdk status``."""

from __future__ import annotations

from dataclasses import replace

from foretell.cli.output import table
from foretell.cli.progress import words
from foretell.redact import redact_text
from foretell.store.standing import Standing
from foretell.text import duration, plural, size


def lines_of(standing: Standing) -> list[str]:
    """The one screen."""
    title = words.joined(standing.shown, standing.word, standing.pulse_text)
    facts = [(label, text) for label, text in facts_of(standing) if text]
    lines = [title, *table(facts, indent="  ")]
    width = max((len(label) for label, _ in facts), default=4)
    for position, (action, effect) in enumerate(standing.tries):
        label = "next" if position == 0 else ""
        lines.append(f"  {label:<{width}}   {action}      {effect}".rstrip())
    return lines


def facts_of(standing: Standing) -> list[tuple[str, str]]:
    """Labelled texts, empty where there is nothing to say."""
    return [("job", _job(standing)), *_progress(standing), *_session(standing)]


def _job(standing: Standing) -> str:
    job = standing.manifest.job
    source, predictor = job.get("source") or {}, job.get("predictor") or {}
    parts = [
        f"source {source.get('kind')} {source.get('path') or ''}".rstrip(),
        f"predictor {predictor.get('kind')} {predictor.get('model') or ''}".rstrip(),
    ]
    return redact_text(words.joined(*parts, f"begun {words.clock(standing.manifest.created)}"))


def _progress(standing: Standing) -> list[tuple[str, str]]:
    if standing.head is None:
        return [("chunks", f"{standing.totals.chunks:,} pending")]
    head = replace(standing.head, totals=standing.totals)
    live = standing.live
    stored = head.totals.bytes_written
    return [
        ("rows", words.rows(head)),
        ("chunks", words.chunks(head)),
        ("failed", words.failed(head)),
        ("NaN", words.nan(head)),
        ("stored", size(stored) if stored else ""),
        ("speed", words.speed(head)),
        ("end", words.eta(head.rates).removeprefix("ETA ") if live else ""),
        ("message", head.message if live else ""),
        ("reason", head.reason),
    ]


def _session(standing: Standing) -> list[tuple[str, str]]:
    head = standing.head
    if head is None:
        return []
    took = duration(max(0.0, head.time - head.session_started))
    resumed = f"{plural(head.resumed_chunks, 'chunk')} done before it"
    session = words.joined(
        f"number {head.epoch}, {head.session_rows:,} {head.unit} in {took}",
        resumed if head.resumed_chunks else "",
    )
    driver = f"{head.host} pid {head.pid}, {plural(head.workers, 'worker')}"
    ends = words.clock(head.walltime_ends) if head.walltime_ends and standing.live else ""
    return [("session", session), ("driver", driver if standing.live else ""), ("walltime", ends)]
