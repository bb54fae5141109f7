"""The workers: what each has in hand, how hard it works, what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from foretell.text import size

from foretell_tui import words
from foretell_tui.line import Line, Span, left, right
from foretell_tui.panes.base import ListPane, Pane
from foretell_tui.reading import Sample
from foretell_tui.state import View

SORTS = ("number", "slowest", "memory", "failures")


def troubled(view: View, sample: Sample) -> bool:
    """Whether a worker does remarkably little: a chunk in hand for five times the usual."""
    p95 = view.head.rates.chunk_p95 if view.head is not None else None
    if p95 is None or not view.live:
        return False
    return any(took is not None and took > max(5 * p95, 30.0) for *_, took in sample.chunks)


def near_limit(sample: Sample) -> bool:
    """Whether its memory is nearly used up."""
    return bool(sample.rss and sample.rss_limit and sample.rss > 0.9 * sample.rss_limit)


def memory_cell(sample: Sample) -> str:
    """``21/64G``: held of what is allowed."""
    return of(sample.rss, sample.rss_limit)


def of(part: float | None, whole: float | None) -> str:
    """``21/64G``: the unit once where it is the same."""
    held = words.memory(part)
    if not whole:
        return held
    most = words.memory(whole)
    return f"{held[:-1]}/{most}" if held[-1:] == most[-1:] else f"{held}/{most}"


def gpu_cells(sample: Sample) -> tuple[str, str]:
    """Busy share and memory of all its GPUs; empty without one."""
    if not sample.gpus:
        return "", ""
    shares = [busy for _, busy, _, _ in sample.gpus if busy is not None]
    busy = f"{sum(shares) / len(shares) * 100:.0f}%" if shares else "-"
    used, total = sum(g[2] for g in sample.gpus), sum(g[3] for g in sample.gpus)
    return busy, of(used, total)


class _Workers(ListPane):
    """What both lists of workers share."""

    acts: ClassVar[tuple[str, ...]] = (*ListPane.acts, "open", "sort", "group", "copy")
    sort = "number"

    def samples(self) -> list[Sample]:
        """Those shown, in order."""
        view = self.desk.view
        if not view.live:
            return list(view.reading.samples)
        rates, failures = view.reading.rates, self.failures()
        keys = {
            "number": lambda s: s.index,
            "slowest": lambda s: (rates.get(s.index, 0.0), s.index),
            "memory": lambda s: (-(s.rss or 0), s.index),
            "failures": lambda s: (-failures[s.name], s.index),
        }
        found = sorted(view.reading.samples, key=keys[self.sort])
        return sorted(found, key=lambda s: s.host) if self.desk.grouped else found

    def failures(self) -> Counter[str]:
        """Failed attempts by worker."""
        return Counter(self.desk.view.reading.failed_by)

    def count(self) -> int:
        return len(self.samples())

    def empty(self) -> str:
        view = self.desk.view
        if view.head is None:
            return "no worker yet: the run has not started"
        if not view.live:
            return "no worker left figures behind"
        return "workers show their first figures two seconds after they start"

    def selected(self) -> None:
        samples = self.samples()
        if samples:
            self.desk.worker = samples[min(self.at, len(samples) - 1)].index

    def chosen(self) -> Sample | None:
        """The worker that is selected."""
        samples = self.samples()
        return samples[min(self.at, len(samples) - 1)] if samples else None

    def records(self) -> list[dict[str, Any]]:
        view, failures = self.desk.view, self.failures()
        return [
            {"worker": s.name, "host": s.host, "pid": s.pid, "job": s.job, "time": s.time,
             "cpu": s.cpu, "rss": s.rss, "rss_limit": s.rss_limit, "rss_peak": s.rss_peak,
             "chunks": [chunk for chunk, *_ in s.chunks] if view.live else [],
             "gpus": [uuid for uuid, *_ in s.gpus], "failed": failures[s.name],
             "chunks_per_second": view.reading.rates.get(s.index, 0.0) if view.live else None}
            for s in self.samples()
        ]  # fmt: skip

    def do_open(self) -> None:
        from foretell_tui.desk import Effect

        self.selected()
        self.desk.emit(Effect("screen", "workers"))

    def do_sort(self) -> None:
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.desk.say(f"workers by {self.sort}")

    def do_group(self) -> None:
        self.desk.grouped = not self.desk.grouped
        self.desk.say("workers grouped by host" if self.desk.grouped else "workers not grouped")

    def do_copy(self) -> None:
        if (sample := self.chosen()) is not None:
            self.desk.copy(f"{sample.host} {sample.pid}", "host and pid")


class Worst(_Workers):
    """A few workers, the troubled first: for the overview."""

    name: ClassVar[str] = "worst"

    @property
    def title(self) -> str:
        view = self.desk.view
        known = len(view.reading.samples)
        alive = view.head.workers if view.head is not None and view.live else 0
        stalled = sum(troubled(view, sample) for sample in view.reading.samples)
        more = f"   {stalled} stalled" if stalled else ""
        return f"Workers {alive}/{max(known, alive)}{more}" if view.live else "Workers"

    @property
    def hint(self) -> str:
        return "enter all of one worker  3 the whole list"

    def samples(self) -> list[Sample]:
        found = super().samples()
        view = self.desk.view
        return sorted(found, key=lambda s: not (troubled(view, s) or near_limit(s)))

    def head(self, width: int) -> list[Line]:
        if not self.samples():
            return []
        return [[("  " + self._columns("id", "host", " ", "cpu", "rss/lim", "gpu", "ch/s"), "dim")]]

    def _columns(
        self, name: str, host: str, mark: str, cpu: str, memory: str, gpu: str, rate: str
    ) -> str:
        known = any(sample.gpus for sample in self.desk.view.reading.samples)
        busy = f" {right(gpu, 4)}" if known else ""
        return (
            f"{left(name, 3)} {left(host, 7, '.')}{mark}{right(cpu, 4)} {right(memory, 8, '.')}"
            f"{busy} {right(rate, 5)}"
        )

    def body(self, width: int, height: int) -> list[Line]:
        if width >= 64 and height <= 3:
            return self._pairs(width, height)
        return super().body(width, height)

    def _pairs(self, width: int, height: int) -> list[Line]:
        """Two workers on a line, and how many more there are."""
        samples = self.samples()
        if not samples:
            return super().body(width, height)
        room = height * 2
        shown = samples if len(samples) <= room else samples[: room - 1]
        cells = [self._cell(sample, width // 2) for sample in shown]
        if len(samples) > room:
            cells.append([(f"+{len(samples) - room + 1} more (3)", "dim")])
        lines = []
        for at in range(0, len(cells), 2):
            second = cells[at + 1] if at + 1 < len(cells) else []
            lines.append([*cells[at], *second])
        return lines

    def _cell(self, sample: Sample, width: int) -> Line:
        view = self.desk.view
        busy, _ = gpu_cells(sample)
        rate = view.reading.rates.get(sample.index, 0.0)
        mark = "!" if troubled(view, sample) or near_limit(sample) else " "
        cpu = "-" if sample.cpu is None else f"{sample.cpu * 100:.0f}%"
        text = (
            f"{sample.name} {left(sample.host, 5, '.')}{mark}{right(cpu, 4)} "
            f"{right(memory_cell(sample), 7, '.')} {'gpu ' + busy if busy else ''} "
            + (right(f"{rate:.1f}/s", 6) if view.live else "")
        )
        return [(left(text, width), "warn" if mark == "!" else "")]

    def row(self, number: int, width: int) -> Line:
        view = self.desk.view
        sample = self.samples()[number]
        mark = "!" if troubled(view, sample) or near_limit(sample) else " "
        cpu = "-" if sample.cpu is None else f"{sample.cpu * 100:.0f}%"
        busy, _ = gpu_cells(sample)
        rate = view.reading.rates.get(sample.index, 0.0)
        text = self._columns(
            sample.name,
            sample.host,
            mark,
            cpu,
            memory_cell(sample),
            busy,
            f"{rate:.1f}" if view.live else "-",
        )
        return [(text, "warn" if mark == "!" else "" if view.live else "dim")]


_COLUMNS = (
    ("id", 5, "<"), ("host", 13, "<"), ("job", 9, "<"), ("in hand", 18, "<"), ("for", 6, ">"),
    ("cpu", 6, ">"), ("rss/limit", 10, ">"), ("peak", 5, ">"), ("gpu", 5, ">"), ("vram", 9, ">"),
    ("chunks/s", 8, ">"), ("failed", 6, ">"),
)  # fmt: skip
_LEFT_OUT = ("job", "vram", "gpu", "peak", "failed", "host")
"""Columns that go first where there is no room."""


class Workers(_Workers):
    """One line a worker, everything that is known of it."""

    name: ClassVar[str] = "workers"

    @property
    def title(self) -> str:
        view = self.desk.view
        count = self.count()
        alive = view.head.workers if view.head is not None and view.live else 0
        state = f"{alive} alive" if view.live else "as they were last seen"
        return f"Workers {count}   {state}   by {self.sort}"

    @property
    def hint(self) -> str:
        return "s sort  g group by host  y copy host and pid"

    def columns(self, width: int) -> list[tuple[str, int, str]]:
        """Those there is something for, and room for."""
        samples = self.desk.view.reading.samples
        gone = set()
        if not any(sample.gpus for sample in samples):
            gone |= {"gpu", "vram"}
        if not any(sample.job for sample in samples):
            gone |= {"job"}
        chosen = [column for column in _COLUMNS if column[0] not in gone]
        for name in _LEFT_OUT:
            if sum(size + 1 for _, size, _ in chosen) <= width:
                break
            chosen = [column for column in chosen if column[0] != name]
        return chosen

    def head(self, width: int) -> list[Line]:
        if not self.samples():
            return []
        return [[("  " + _cells(self.columns(width - 2), {n: n for n, *_ in _COLUMNS}), "dim")]]

    def row(self, number: int, width: int) -> Line:
        view = self.desk.view
        sample = self.samples()[number]
        busy, vram = gpu_cells(sample)
        first = sample.chunks[0] if sample.chunks and view.live else None
        hand = "idle" if view.live else "-"
        took = ""
        if first is not None:
            more = f" +{len(sample.chunks) - 1}" if len(sample.chunks) > 1 else ""
            hand = f"{first[0]:,} {first[2]}{more}"
            took = "" if first[3] is None else _for(first[3])
        rate = view.reading.rates.get(sample.index, 0.0)
        cells = {
            "id": sample.name,
            "host": sample.host,
            "job": sample.job,
            "in hand": hand,
            "for": took,
            "cpu": "-" if sample.cpu is None else f"{sample.cpu * 100:.0f}%",
            "rss/limit": memory_cell(sample),
            "peak": words.memory(sample.rss_peak),
            "gpu": busy,
            "vram": vram,
            "chunks/s": f"{rate:.2f}" if view.live else "-",
            "failed": f"{self.failures()[sample.name]:,}",
        }
        bad = troubled(view, sample) or near_limit(sample)
        return [(_cells(self.columns(width), cells), "warn" if bad else "")]


def _for(seconds: float) -> str:
    """How long a chunk has been in hand, in little room."""
    return words.seconds(seconds) if seconds < 60 else words.short(seconds)


def _cells(columns: Sequence[tuple[str, int, str]], cells: dict[str, str]) -> str:
    parts = [
        left(cells[name], size) if side == "<" else right(cells[name], size)
        for name, size, side in columns
    ]
    return " ".join(parts)


class WorkerDetail(Pane):
    """Everything known of the selected worker, with its curves."""

    name: ClassVar[str] = "worker"
    focusable: ClassVar[bool] = False

    @property
    def title(self) -> str:
        sample = self._sample()
        return f"Worker {sample.name} on {sample.host}" if sample else "Worker"

    def _sample(self) -> Sample | None:
        samples = self.desk.view.reading.samples
        found = [sample for sample in samples if sample.index == self.desk.worker]
        return found[0] if found else samples[0] if samples else None

    def body(self, width: int, height: int) -> Sequence[Line]:
        sample = self._sample()
        if sample is None:
            return [[("no worker is known", "dim")]]
        view, look = self.desk.view, self.desk.look
        kept = self.desk.history.get(sample.index, [])[-max(8, width - 20) :]
        held = "-" if sample.rss is None else size(sample.rss)
        limit = f" of {size(sample.rss_limit)}" if sample.rss_limit else ""
        peak = "-" if sample.rss_peak is None else size(sample.rss_peak)
        lines: list[Line] = [
            [_label("process"), (f"pid {sample.pid} on {sample.host}", ""),
             (f"   SLURM job {sample.job}" if sample.job else "", "")],
            [_label("model on"), (", ".join(sample.devices) or "not told", "")],
            [_label("memory"), (f"{held}{limit}", "warn" if near_limit(sample) else ""),
             ("   peak ", "dim"), (peak, "")],
        ]  # fmt: skip
        for chunk, attempt, phase, took in sample.chunks[:3] if view.live else ():
            long = "" if took is None else f" for {words.seconds(took)}"
            lines.append([_label("chunk"), (f"{chunk:,} attempt {attempt}: {phase}{long}", "")])
        for uuid, busy, used, total in sample.gpus:
            share = "-" if busy is None else f"{busy * 100:.0f} % busy"
            lines.append([_label("gpu"), (f"{uuid}  {share}  {size(used)} of {size(total)}", "")])
        if len(kept) > 1:
            lines.append([_label("cpu"), (words.curve([k[1] for k in kept], look), "curve"),
                          (f" {kept[-1][1] * 100:.0f} %", "")])  # fmt: skip
            lines.append([_label("memory"), (words.curve([k[2] for k in kept], look), "curve"),
                          (f" {size(kept[-1][2])}", "")])  # fmt: skip
        lines += [[_label(name), (str(value), "")] for name, value in _flat(sample.figures)]
        if not view.live:
            lines.append([(f"last seen {words.day_clock(sample.time, view.reading.wall)}", "dim")])
        return lines[:height]


def _label(text: str) -> Span:
    """What a line of the detail tells of."""
    return (left(text, max(9, len(text))) + " ", "dim")


def _flat(figures: object, prefix: str = "") -> list[tuple[str, object]]:
    """Nested figures as (``pool.hits``, value): what deployments, pools and compilers count."""
    if not isinstance(figures, dict):
        return [(prefix, figures)]
    rows: list[tuple[str, object]] = []
    for name, value in figures.items():
        rows += _flat(value, f"{prefix}.{name}" if prefix else str(name))
    return rows
