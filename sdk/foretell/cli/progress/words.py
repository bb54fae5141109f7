"""A head in words: pure functions that every way of showing progress shares."""

from __future__ import annotations

import time

from foretell.store.head import Head, Rates
from foretell.text import duration, plural, size, word

WAYS_ON = {
    "interrupted": ("sdk resume", "continues"),
    "cancelled": ("sdk resume", "continues"),
    "partial": ("sdk failures", "says which and why"),
    "failed": ("sdk failures", "says which and why"),
}


def percent(head: Head) -> float:
    """Predicted rows of all, rounded down to a tenth, so that 100 means all; 100 for no rows."""
    if head.totals.rows == 0:
        return 100.0
    return head.totals.rows_done * 1000 // head.totals.rows / 10


def rows(head: Head) -> str:
    """``1,234 of 1,797 rows (68.6 %)``: those that have a prediction."""
    return f"{head.totals.rows_done:,} of {head.totals.rows:,} {head.unit} ({percent(head):.1f} %)"


def rate(rates: Rates, unit: str) -> str:
    """``18,400 rows/s``; empty while nothing is known."""
    per_second = rates.rows_per_second
    if per_second is None:
        return ""
    shown = f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"
    return f"{shown} {unit}/s"


def eta(rates: Rates) -> str:
    """``ETA 5h 41m - 6h 20m``; one figure where both ends read the same; empty while unknown."""
    if rates.eta_low is None or rates.eta_high is None:
        return ""
    low, high = duration(rates.eta_low), duration(rates.eta_high)
    return f"ETA {low}" if low == high else f"ETA {low} - {high}"


def failed(head: Head) -> str:
    """``7 rows failed (CUDA out of memory 5, TypeError 2)``; empty when none did.

    The figures by kind are of every attempt so far. Where they are more than the rows that still
    have no prediction, only the kinds are named.
    """
    count = head.totals.rows_quarantined + head.totals.rows_failed
    if not count:
        return ""
    exact = sum(head.failure_kinds.values()) <= count
    kinds = ", ".join(
        f"{kind} {number:,}" if exact else kind for kind, number in head.failure_kinds.items()
    )
    text = f"{count:,} {head.unit} failed"
    return f"{text} ({kinds})" if kinds else text


def joined(*parts: str) -> str:
    """The parts that say something, apart from each other."""
    return "   ".join(part for part in parts if part)


def start_line(head: Head, url: str) -> str:
    """The first line of a session."""
    totals = head.totals
    before = f"{plural(head.resumed_chunks, 'chunk')} done before" if head.resumed_chunks else ""
    what = f"{totals.rows:,} {head.unit} in {plural(totals.chunks, 'chunk')}"
    return joined(f"{head.state} {url}", what, before)


def progress_line(head: Head) -> str:
    """One line on how it goes."""
    return joined(rows(head), rate(head.rates, head.unit), eta(head.rates), failed(head))


def end_lines(head: Head, url: str) -> list[str]:
    """The summary: what was reached in how long, and what to do next."""
    took = max(0.0, head.time - head.session_started)
    average = head.average_rate
    pace = "" if average is None else f"{average:,.0f} {head.unit}/s"
    lines = [joined(f"{head.state} {url}", rows(head), f"in {duration(took)}", pace)]
    if head.resumed_chunks:
        lines.append(
            f"  this session {head.session_rows:,} {head.unit}; "
            f"{plural(head.resumed_chunks, 'chunk')} done before"
        )
    # Why a run failed is told after this, as an error.
    reason = head.reason if head.state != "failed" else ""
    lines += [f"  {text}" for text in (failed(head), nan(head), reason) if text]
    way = WAYS_ON.get(head.state)
    if way is not None:
        lines.append(f"  {way[0]} {word(url)}      {way[1]}")
    return lines


def nan(head: Head) -> str:
    """How many rows hold a NaN or an infinity; empty when none does."""
    count = head.totals.rows_nan
    return f"{count:,} {head.unit} hold a NaN or an infinity" if count else ""


def clock(seconds: float) -> str:
    """A time of day for people: ``12:03:09``, with the date when it is not today."""
    then, now = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d %H:%M:%S", then)


def chunks(head: Head) -> str:
    """Chunks by state, those there are: ``606 done, 4 running, 366 pending``."""
    totals = head.totals
    states = ("done", "running", "retrying", "pending", "failed", "quarantined", "damaged")
    counts = [(state, getattr(totals, state)) for state in states]
    shown = ", ".join(f"{count:,} {state}" for state, count in counts if count)
    return f"{shown} of {totals.chunks:,}" if shown else "none"


def speed(head: Head) -> str:
    """Rates in full; empty while nothing is known."""
    rates = head.rates
    parts = [rate(rates, head.unit)]
    if rates.rows_per_second_10m is not None:
        parts.append(f"10 min {rates.rows_per_second_10m:,.0f}")
    if rates.chunk_p50 is not None and rates.chunk_p95 is not None:
        parts.append(f"chunk p50 {rates.chunk_p50:.2g} s, p95 {rates.chunk_p95:.2g} s")
    if rates.bytes_per_second is not None:
        parts.append(f"{size(rates.bytes_per_second)}/s written")
    return joined(*parts)
