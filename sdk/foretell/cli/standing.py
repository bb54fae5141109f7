"""How a run stands, put together from its manifest, its head, and its ledger where needed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foretell.cli.exits import Exit
from foretell.cli.parts import locate, watch
from foretell.cli.progress import words
from foretell.redact import redact_url
from foretell.store.head import Head, Totals
from foretell.store.manifest import Manifest, read_manifest
from foretell.store.open import open_objects
from foretell.store.status import Judgement, Pulse
from foretell.text import duration, plural, size
from foretell.types import RunState

if TYPE_CHECKING:
    from foretell.store.objects import ObjectStore

_RESUMABLE = (RunState.INTERRUPTED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands.

    Attributes:
        shown: The run as it can be typed, secrets removed.
        manifest: What it is.
        head: Its head, None when there is none to read.
        judgement: On the heartbeat, None without a head.
        totals: From the head; from the ledger where the driver can no longer keep the head.
    """

    shown: str
    manifest: Manifest
    head: Head | None
    judgement: Judgement | None
    totals: Totals

    @property
    def state(self) -> str:
        """The state as recorded."""
        return self.judgement.state.value if self.judgement else RunState.PLANNED.value

    @property
    def pulse(self) -> str:
        """The judgement in one word."""
        return self.judgement.pulse.value if self.judgement else Pulse.ENDED.value

    @property
    def pulse_text(self) -> str:
        """The judgement in a phrase; empty for a run that ended."""
        if self.judgement is None or self.judgement.pulse is Pulse.ENDED:
            return ""
        return self.judgement.text

    @property
    def quiet(self) -> float | None:
        """Seconds since the heartbeat moved, None for a run that ended."""
        live = self.judgement is not None and self.judgement.pulse is not Pulse.ENDED
        return self.judgement.quiet if live and self.judgement is not None else None

    @property
    def word(self) -> str:
        """What to call it: LOST and STALE rule over the recorded state."""
        if self.judgement is not None and self.judgement.pulse in (Pulse.LOST, Pulse.STALE):
            return self.judgement.pulse.value.upper()
        return self.state.upper()

    @property
    def lost(self) -> bool:
        """Whether it says it runs and does not."""
        return self.judgement is not None and self.judgement.pulse is Pulse.LOST

    @property
    def exit_code(self) -> int:
        """The run's own; 75 when lost or interrupted; 0 while running."""
        if self.lost or (self.judgement and self.judgement.state in _RESUMABLE):
            return Exit.INTERRUPTED
        if self.head is not None and self.judgement and self.judgement.pulse is Pulse.ENDED:
            return self.head.exit_code if self.head.exit_code is not None else Exit.COMPLETE
        return Exit.COMPLETE

    @property
    def tries(self) -> list[tuple[str, str]]:
        """What may be done next."""
        run = self.shown
        if self.lost:
            return [(f"sdk resume {run}", "probably killed; continues")]
        if self.judgement is None:
            return [(f"sdk resume {run}", "starts it")]
        if self.state == RunState.DONE:
            return [(f"sdk show {run}", "what it holds and how to open it")]
        if self.state in (RunState.PARTIAL, RunState.FAILED):
            return [
                (f"sdk failures {run}", "says which and why"),
                (f"sdk retry {run}", "predicts again what failed"),
            ]
        if self.judgement.state in _RESUMABLE:
            return [(f"sdk resume {run}", "continues")]
        return [(f"sdk cancel {run}", "drains and stops it")]

    def facts(self) -> list[tuple[str, str]]:
        """Labelled lines, empty texts where there is nothing to say."""
        return [("job", self._job()), *self._progress(), *self._session()]

    def _job(self) -> str:
        job = self.manifest.job
        source, predictor = job.get("source") or {}, job.get("predictor") or {}
        parts = [
            f"source {source.get('kind')} {source.get('path') or ''}".rstrip(),
            f"predictor {predictor.get('kind')} {predictor.get('model') or ''}".rstrip(),
        ]
        return words.joined(*parts, f"begun {words.clock(self.manifest.created)}")

    def _progress(self) -> list[tuple[str, str]]:
        head = self.head
        if head is None:
            return [("chunks", f"{self.totals.chunks:,} pending")]
        head = replace(head, totals=self.totals)
        live = self.judgement is not None and self.judgement.live
        return [
            ("rows", words.rows(head)),
            ("chunks", words.chunks(head)),
            ("failed", words.failed(head)),
            ("NaN", words.nan(head)),
            ("stored", size(self.totals.bytes_written) if self.totals.bytes_written else ""),
            ("speed", words.speed(head)),
            ("end", words.eta(head.rates) if live else ""),
            ("message", head.message if live else ""),
            ("reason", head.reason),
        ]

    def _session(self) -> list[tuple[str, str]]:
        head = self.head
        if head is None:
            return []
        took = duration(max(0.0, head.time - head.session_started))
        resumed = f"{plural(head.resumed_chunks, 'chunk')} done before it"
        session = words.joined(
            f"number {head.epoch}, {head.session_rows:,} {head.unit} in {took}",
            resumed if head.resumed_chunks else "",
        )
        driver = f"{head.host} pid {head.pid}, {plural(head.workers, 'worker')}"
        live = self.judgement is not None and self.judgement.live
        ends = words.clock(head.walltime_ends) if head.walltime_ends and live else ""
        return [("session", session), ("driver", driver if live else ""), ("walltime", ends)]


def standing_of(run: str) -> Standing:
    """How the run stands that ``RUN`` means.

    Raises:
        NotARun: there is none.
        StoreError: its manifest or ledger is damaged.
    """
    url = locate(run)
    objects = open_objects(url)
    manifest = read_manifest(objects)
    looking = watch(objects)
    judgement = looking.settle(time.sleep)
    head = looking.head
    if head is not None and judgement is not None and judgement.pulse is not Pulse.LOST:
        totals = head.totals
    else:
        totals = _totals_by_ledger(objects)
    return Standing(redact_url(url), manifest, head, judgement, totals)


def _totals_by_ledger(objects: ObjectStore) -> Totals:
    """Exact counts when no driver keeps the head; what the dead one had in hand is pending."""
    from foretell.store.snapshot import open_snapshot

    snapshot = open_snapshot(objects)
    totals = snapshot.table.totals(snapshot.plan.n_rows, snapshot.plan.chunk_rows)
    return replace(totals, pending=totals.pending + totals.running, running=0)
