"""Figures in words, every one with its unit."""

from __future__ import annotations

import time
from collections.abc import Iterable

from foretell.store.head import Head
from foretell.text import duration, size

from foretell_tui.look import Look
from foretell_tui.state import View


def percent(head: Head) -> float:
    """Predicted rows of all, rounded down to a tenth, so that 100 means all."""
    totals = head.totals
    return 100.0 if totals.rows == 0 else totals.rows_done * 1000 // totals.rows / 10


def share(view: View) -> float:
    """As :func:`percent`, of a view."""
    totals = view.totals
    return 100.0 if totals.rows == 0 else totals.rows_done * 1000 // totals.rows / 10


def clock(seconds: float) -> str:
    """A time of day: ``12:03:09``."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def day_clock(seconds: float, now: float) -> str:
    """A time of day, with the date when it is not today's."""
    then, today = time.localtime(seconds), time.localtime(now)
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%m-%d %H:%M", then)


def minute(seconds: float, now: float) -> str:
    """``03:42``, with the day when it is not today."""
    then, today = time.localtime(seconds), time.localtime(now)
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%a %H:%M", then)


def short(seconds: float) -> str:
    """A duration in little room: ``48s``, ``6m20``, ``5h41``, ``3d04``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}"


def seconds(value: float) -> str:
    """A short duration: ``3.4 s``, ``85 ms``."""
    if value < 0.1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return duration(value)


def rate(value: float | None) -> str:
    """A number per second in four or five cells: ``18.4k``, ``0.52``."""
    if value is None:
        return "-"
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 10 * scale or (value >= scale and unit != "k"):
            return f"{value / scale:.1f}{unit}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def memory(value: float | None) -> str:
    """Bytes in little room: ``812M``, ``21G``."""
    if value is None:
        return "-"
    for unit, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            number = value / scale
            return f"{number:.1f}{unit}" if number < 10 else f"{number:.0f}{unit}"
    return f"{value:.0f}B"


def eta(view: View, look: Look) -> str:
    """``5h41 - 6h20 (03:42 - 04:21)``; ``unknown``; ``stalled``; empty for a run that ended."""
    if not view.live or view.head is None:
        return ""
    if (still := view.stalled) is not None:
        return f"stalled: nothing finished for {short(still)}"
    low, high = view.head.rates.eta_low, view.head.rates.eta_high
    if low is None or high is None:
        return "unknown"
    now = view.reading.wall
    ends = between(minute(now + low, now), minute(now + high, now), look)
    return f"{between(short(low), short(high), look)} ({ends})"


def between(low: str, high: str, look: Look) -> str:
    """A range, or one figure where both ends read the same."""
    return low if low == high else f"{low} {look.dash} {high}"


def walltime(view: View) -> str:
    """When the walltime ends, and whether that is before the run can; empty where unknown."""
    head = view.head
    if head is None or head.walltime_ends is None or not view.live:
        return ""
    text = f"walltime ends {minute(head.walltime_ends, view.reading.wall)}"
    low = head.rates.eta_low
    before = low is not None and view.reading.wall + low > head.walltime_ends
    return f"{text}, before ETA" if before else text


def pulse(view: View, *, brief: bool = False) -> str:
    """When the driver was last heard of; empty for a run that ended."""
    quiet = view.quiet
    if quiet is None or (not view.live and view.word != "LOST"):
        return ""
    if view.word in ("STALE", "LOST"):
        return f"no news {short(quiet)}" if brief else f"no news for {short(quiet)}"
    return f"beat {short(quiet)}"


def ranges(numbers: Iterable[int], look: Look, most: int = 12) -> str:
    """``5, 9..12, 40`` for ascending numbers, the rest counted."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [f"{a:,}" if a == b else f"{a:,}..{b:,}" for a, b in runs[:most]]
    if len(runs) > most:
        left = sum(b - a + 1 for a, b in runs[most:])
        shown.append(f"{look.dots} {left:,} more")
    return ", ".join(shown)


def typed_ranges(numbers: Iterable[int], most: int = 200) -> str:
    """``5,9-12,40``: as ``sdk retry --chunks`` takes it; empty where it would be too long."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    if len(runs) > most:
        return ""
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def bytes_per_second(value: float | None) -> str:
    """``41 MB/s``; ``-`` where unknown."""
    return "-" if value is None else f"{size(value)}/s"


def curve(values: list[float], look: Look, top: float | None = None) -> str:
    """One line of heights."""
    levels = look.levels
    most = top if top is not None else max(values, default=0.0)
    if most <= 0:
        return levels[0] * len(values)
    last = len(levels) - 1
    return "".join(levels[min(last, max(0, round(v / most * last)))] for v in values)


def job_name(view: View) -> str:
    """The run's own name: the last part of its path."""
    return view.reading.shown.rstrip("/").rpartition("/")[2] or view.reading.shown


def run_id(view: View) -> str:
    """Four characters that tell runs of one name apart."""
    manifest = view.reading.manifest
    return manifest.hash.partition(":")[2][:4] if manifest is not None else "-"
