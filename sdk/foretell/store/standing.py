"""How a run stands, put together from its manifest, its head, and its ledger where needed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from foretell.redact import redact_url
from foretell.store.head import Head, Totals, read_head
from foretell.store.manifest import Manifest, read_manifest
from foretell.store.objects import ObjectStore
from foretell.store.snapshot import Snapshot, open_snapshot
from foretell.store.status import Judgement, Pulse, Watch
from foretell.text import word
from foretell.types import RunState

_RESUMABLE = (RunState.INTERRUPTED, RunState.CANCELLED)


LIVE_AGAIN = "run its Python code again"
"""What continues a run of live objects: no command can."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands.

    Attributes:
        shown: The run as it can be typed, secrets removed.
        manifest: What it is.
        head: Its head, None when there is none to read.
        judgement: On the heartbeat, None without a head.
        totals: From the head; from the ledger where the driver can no longer keep the head.
        ended_with: Exit code by the ledger, where the head does not tell.
    """

    shown: str
    manifest: Manifest
    head: Head | None
    judgement: Judgement | None
    totals: Totals
    ended_with: int | None = None

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
        if self.judgement is None or self.judgement.pulse is Pulse.ENDED:
            return None
        return self.judgement.quiet

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
    def live(self) -> bool:
        """Whether a driver may be at work."""
        return self.judgement is not None and self.judgement.live

    @property
    def exit_code(self) -> int:
        """The run's own; 75 when lost or interrupted; 0 while running."""
        if self.lost or (self.judgement and self.judgement.state in _RESUMABLE):
            return 75
        if self.ended_with is not None:
            return self.ended_with
        if self.head is not None and self.judgement and self.judgement.pulse is Pulse.ENDED:
            return self.head.exit_code or 0
        return 0

    @property
    def tries(self) -> list[tuple[str, str]]:
        """What may be done next: (command, effect)."""
        run = word(self.shown)
        again = LIVE_AGAIN if self.manifest.live else f"sdk resume {run}"
        if self.lost:
            return [(again, "probably killed; continues")]
        if self.judgement is None:
            return [(again, "starts it")]
        if self.state == RunState.DONE:
            return [(f"sdk show {run}", "what it holds and how to open it")]
        if self.state in (RunState.PARTIAL, RunState.FAILED):
            return [
                (f"sdk failures {run}", "says which and why"),
                (f"sdk retry {run}", "predicts again what failed"),
            ]
        if self.judgement.state in _RESUMABLE:
            return [(again, "continues")]
        return [(f"sdk cancel {run}", "drains and stops it")]


def standing_of(objects: ObjectStore) -> Standing:
    """How the run at ``objects`` stands. Waits up to three heartbeats where one read cannot tell.

    Raises:
        NotARun: there is none.
        StoreError: its manifest or ledger is damaged.
    """
    manifest = read_manifest(objects)
    shown = redact_url(objects.url)
    looking = Watch(lambda: read_head(objects))
    judgement = looking.settle(time.sleep)
    head = looking.head
    if head is not None and judgement is not None and judgement.pulse is not Pulse.LOST:
        totals = settled(head.totals) if judgement.pulse is Pulse.ENDED else head.totals
        return Standing(shown, manifest, head, judgement, totals)
    snapshot = open_snapshot(objects)
    if (ended := snapshot.table.ended) is not None:
        # The driver was killed before its last head, or the head is damaged: the ledger rules.
        state = RunState(ended.state)
        judgement = Judgement(Pulse.ENDED, state, 0.0, state.value)
        if head is not None:
            head = replace(
                head, state=ended.state, exit_code=ended.exit_code, reason=ended.reason, message=""
            )
    ended_with = None if ended is None else ended.exit_code
    return Standing(shown, manifest, head, judgement, _totals_by_ledger(snapshot), ended_with)


def _totals_by_ledger(snapshot: Snapshot) -> Totals:
    """Exact counts when no driver keeps the head; what the dead one had in hand is pending."""
    return settled(snapshot.table.totals(snapshot.plan.n_rows, snapshot.plan.chunk_rows))


def settled(totals: Totals) -> Totals:
    """Totals once no driver is at work: what it had in hand and did not finish is pending."""
    return replace(totals, pending=totals.pending + totals.running, running=0)
