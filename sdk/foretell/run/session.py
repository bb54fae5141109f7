"""A driver session: take the run, drive it, finish the outputs, say how it ended."""

from __future__ import annotations

import queue
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from foretell.engine import parts
from foretell.engine.dispatch import Settings
from foretell.engine.engine import Engine
from foretell.engine.queue import WorkQueue
from foretell.engine.recorder import Recorder, SessionFacts
from foretell.engine.stopping import Stop
from foretell.errors import Fenced, ForetellError, StorageError
from foretell.events import Event, RunFinished, RunPlanned, RunStarted
from foretell.plan import Plan
from foretell.plugins.discovery import Broken
from foretell.run.outcome import Outcome
from foretell.run.patience import Patience
from foretell.run.planning import Sizing, memory_bounded, run_name, with_budget, worker_job
from foretell.run.prepare import Prepared
from foretell.run.suspects import suspects_of
from foretell.store import control, layout
from foretell.store.head import Head
from foretell.store.manifest import Manifest
from foretell.store.objects import ObjectStore
from foretell.store.projection import Projection
from foretell.store.rates import RateMeter
from foretell.store.records import ChunkFailed, ChunkRestored, SessionEnded
from foretell.store.snapshot import Snapshot
from foretell.store.takeover import claim
from foretell.text import plural
from foretell.types import ChunkState, RunState, Valid

if TYPE_CHECKING:
    from foretell.run.execute import Request

_TO_DO = (ChunkState.PENDING, ChunkState.RUNNING, ChunkState.RETRYING, ChunkState.DAMAGED)


def idle_outcome(snapshot: Snapshot, url: str, retry: frozenset[int] | None) -> Outcome | None:
    """The outcome of a run that has nothing left to do; None when there is work."""
    ended = snapshot.table.ended
    if ended is None or retry or not _told(snapshot):
        return None
    if retry is None and np.isin(snapshot.table.state, _TO_DO).any():
        return None
    if ended.state not in (RunState.DONE, RunState.PARTIAL):
        return None if retry is None else _idle(snapshot, url, RunState(ended.state))
    return _idle(snapshot, url, RunState(ended.state))


def _told(snapshot: Snapshot) -> bool:
    """Whether the head says what the ledger says: a driver may have been killed between the two."""
    head = snapshot.head
    if head is None or head.epoch != snapshot.table.epoch:
        return False
    return RunState(head.state).ended


def _idle(snapshot: Snapshot, url: str, state: RunState) -> Outcome:
    exit_code = {RunState.DONE: 0, RunState.PARTIAL: 3}.get(state, 75)
    reason = "nothing left to do"
    return Outcome(state, exit_code, url, reason, head=snapshot.head, idle=True)


class Session:
    """One driver session on one run.

    Args:
        prepared: The job's parts.
        sizing: How it is spread over the machine.
        manifest: What the run is.
        objects: The run store.
        request: How the session was asked for.
    """

    work: WorkQueue
    recorder: Recorder

    def __init__(
        self,
        prepared: Prepared,
        sizing: Sizing,
        manifest: Manifest,
        objects: ObjectStore,
        request: Request,
    ) -> None:
        self.prepared = prepared
        self.sizing = sizing
        self.manifest = manifest
        self.objects = objects
        self.request = request
        stored = Plan.from_json(manifest.plan)
        self.plan = with_budget(stored, prepared.schedule.max_failed)
        self.writer = parts.build_writer(
            prepared.sections["writer"], str(prepared.job.base_dir), objects
        )
        self.url = objects.url

    def claim(self, projection: Projection | None = None) -> None:
        """Become the run's one driver.

        Args:
            projection: The ledger as just read, to spare reading it again.

        Raises:
            HeldError: another driver holds it.
        """
        self.ledger = claim(
            self.objects,
            self.manifest,
            take_over=self.request.take_over,
            command=self.request.command,
            say=lambda text: self.request.sink.note("INFO", text),
            projection=projection,
        )
        self.writer.create(self.plan.writer_plan())
        self.writer.open(self.plan.writer_plan())
        control.clear(self.objects, self.ledger.epoch)
        self.work = self._queue()
        self.recorder = self._recorder()

    def _queue(self) -> WorkQueue:
        table = self.ledger.table
        wanted = np.isin(table.state, _TO_DO)
        if self.request.retry is not None:
            wanted[:] = False
            wanted[list(self.request.retry)] = True
        suspects = [c for c in suspects_of(table, run_name(self.url)).tolist() if wanted[c]]
        wanted[suspects] = False
        if self.sizing.inside and self.request.retry is None:
            suspects = self._without_killers(suspects)
        return WorkQueue(
            fresh=np.flatnonzero(wanted),
            suspects=suspects,
            retries=self.prepared.schedule.retries,
            attempts=table.attempt,
        )

    def _without_killers(self, suspects: list[int]) -> list[int]:
        """Give up chunks that ended this process in every attempt they are allowed."""
        table, most = self.ledger.table, self.prepared.schedule.retries + 1
        killers = [chunk for chunk in suspects if table.attempt[chunk] >= most]
        for chunk in killers:
            self.request.sink.note(
                "WARN", f"chunk {chunk} ended this process {table.attempt[chunk]} times: set aside"
            )
        self.ledger.append(
            [
                ChunkFailed(chunk, int(table.attempt[chunk]), ChunkState.QUARANTINED, suspect=True)
                for chunk in killers
            ]
        )
        return [chunk for chunk in suspects if chunk not in killers]

    def _recorder(self) -> Recorder:
        observers = parts.plugins().observers(self._observer_broke)

        def observe(event: Event) -> None:
            getattr(observers, event.name)(event)

        started, walltime = time.time(), self.prepared.schedule.walltime
        session = self.ledger.table.sessions[-1]
        facts = SessionFacts(
            url=self.url,
            epoch=self.ledger.epoch,
            host=session.host,
            boot_id=session.boot_id,
            pid=session.pid,
            pid_started=session.pid_started,
            started=started,
            interval=5.0 if self.objects.remote else 1.0,
            resumed=int((self.ledger.table.state == ChunkState.DONE).sum()),
            unit=self.prepared.source.unit,
            walltime_ends=None if walltime is None else started + walltime,
        )
        rates = RateMeter(time.monotonic, self.sizing.device_slots, self.plan.seed)
        return Recorder(
            self.ledger,
            self.objects,
            self.plan,
            facts,
            self.request.sink,
            observe if observers else None,
            rates,
        )

    def _warn(self, text: str) -> None:
        self.request.sink.note("WARN", text)

    def _observer_broke(self, broken: Broken) -> None:
        self._warn(f"observer switched off: {broken.origin.name}: {broken.reason}")

    # -- driving ---------------------------------------------------------------------------

    def run(self, engine: Engine | None, began: float) -> Outcome:
        """Drive the session to its end."""
        recorder = self.recorder
        planned = RunPlanned(
            self.url, time.time(), self.plan.n_rows, self.plan.n_chunks, recorder.facts.resumed
        )
        recorder.observe(planned)
        try:
            stop = self._stopped(engine)
            inbox = queue.Queue() if engine is None else engine.inbox
            wait = self.prepared.schedule.storage_wait if stop is None else 0.0
            return self._finish(stop, Patience(wait, inbox, self._warn), began)
        except Fenced as error:
            return self._broken_off(error, error.message, began)
        except StorageError as error:
            # The ledger itself cannot be written: what is recorded stands, the rest runs again.
            return self._broken_off(error, f"the storage gave out: {error.message}", began)
        finally:
            self.ledger.close()

    def _stopped(self, engine: Engine | None) -> Stop | None:
        """Drive; what goes wrong beyond repair becomes a recorded end like any other."""
        try:
            return None if engine is None else self._drive(engine)
        except (Fenced, StorageError):
            raise
        except ForetellError as error:
            return Stop(RunState.FAILED, error.exit_code, error.message, drain=False, error=error)

    def _broken_off(self, error: ForetellError, reason: str, began: float) -> Outcome:
        """The end of a session that may not, or cannot, record it."""
        return Outcome(
            RunState.FAILED,
            error.exit_code,
            self.url,
            reason,
            error=error,
            seconds=time.monotonic() - began,
        )

    def _drive(self, engine: Engine) -> Stop | None:
        job = worker_job(
            self.prepared,
            self.sizing,
            self.url,
            plan=self.plan,
            epoch=self.ledger.epoch,
            live=self.request.live,
        )
        workers = tuple(engine.cluster.workers())
        self.recorder.observe(RunStarted(self.url, time.time(), self.ledger.epoch, workers))
        schedule = self.prepared.schedule
        settings = Settings(
            in_hand=memory_bounded(
                self.plan, self.sizing, self.prepared.job.origin("schedule.memory_limit")
            ),
            drain=schedule.drain,
            walltime_ends=self.recorder.facts.walltime_ends,
            on_error=schedule.on_error,
            storage_wait=schedule.storage_wait,
            retry_chunks=self.request.retry or frozenset(),
        )
        return engine.drive(
            job,
            self.plan,
            self.work,
            self.recorder,
            settings,
            self.sizing.memory_limit if self.sizing.ours else None,
            self.sizing.timeout,
            max((w.index for w in self.ledger.table.workers), default=-1) + 1,
            self._cancelled,
        )

    def _cancelled(self) -> bool:
        return control.cancelled(self.objects, self.ledger.epoch)

    # -- finishing -------------------------------------------------------------------------

    def _finish(self, stop: Stop | None, patience: Patience, began: float) -> Outcome:
        recorder = self.recorder
        patience.do(recorder.flush)
        self._restore_unfinished_retries()
        patience.do(recorder.flush)
        state, exit_code, reason = self._ending(stop)
        if stop is None and state is not RunState.INTERRUPTED:
            done = state is RunState.DONE
            self._sweep()
            patience.do(lambda: self.writer.finalize(done, self._uncommitted()))
            self._check_finished()
        recorder.add(SessionEnded(state.value, exit_code, time.time(), reason))
        patience.do(recorder.flush)
        head = patience.do(lambda: recorder.beat(state, 0, reason=reason, exit_code=exit_code))
        self._tell_finished(head, began)
        return Outcome(
            state,
            exit_code,
            self.url,
            reason,
            head=head,
            error=None if stop is None else stop.error,
            seconds=time.monotonic() - began,
        )

    def _sweep(self) -> None:
        """Remove what workers left staged that died in this session; nothing is being written."""
        with suppress(StorageError):  # the next start does it, too
            self.objects.sweep(layout.worker_labels(self.ledger.epoch))

    def _ending(self, stop: Stop | None) -> tuple[RunState, int, str]:
        if stop is not None:
            return stop.state, stop.exit_code, stop.reason
        totals = self.recorder.totals()
        if totals.rows_done == totals.rows:
            return RunState.DONE, 0, ""
        left = int(np.isin(self.ledger.table.state, _TO_DO).sum())
        if left:  # a retry does what failed, and leaves to resume what was never done
            return RunState.INTERRUPTED, 75, f"{plural(left, 'chunk')} not computed yet"
        lost = totals.rows - totals.rows_done
        return RunState.PARTIAL, 3, f"{lost:,} of {totals.rows:,} rows have no prediction"

    def _restore_unfinished_retries(self) -> None:
        """A retry that ended before any put leaves the old record in force."""
        table = self.ledger.table
        chunks = [c for c in self.request.retry or () if c in table.retried and self._untouched(c)]
        if chunks:
            self.recorder.add(ChunkRestored(tuple(sorted(chunks))))

    def _untouched(self, chunk: int) -> bool:
        """Whether the stored objects still are the recorded ones."""
        import google_crc32c

        table = self.ledger.table
        keys = self.writer.objects(self.plan.writer_plan().chunk(chunk))
        for key, size, crc in zip(
            keys, table.sizes[chunk].tolist(), table.crcs[chunk].tolist(), strict=False
        ):
            try:
                data = self.objects.get(key)
            except FileNotFoundError:
                return False
            if len(data) != size or google_crc32c.value(data) != crc:
                return False
        return True

    def _uncommitted(self) -> dict[int, np.ndarray]:
        """What ``valid`` must say of chunks that never committed."""
        table = self.ledger.table
        found: dict[int, np.ndarray] = {}
        for state, value in (
            (ChunkState.FAILED, Valid.NOT_PREDICTED),
            (ChunkState.QUARANTINED, Valid.QUARANTINED),
        ):
            for chunk in np.flatnonzero(table.state == state).tolist():
                found[chunk] = np.full(self.plan.rows_of(chunk), value, dtype=np.uint8)
        return found

    def _check_finished(self) -> None:
        """Reopen what was finalised: the last look before anybody is told."""
        self.writer.open(self.plan.writer_plan())
        done = np.flatnonzero(self.ledger.table.state == ChunkState.DONE)
        if len(done):
            self.writer.read(self.plan.chunk(int(done[-1])))

    def _tell_finished(self, head: Head, began: float) -> None:
        totals = head.totals
        self.recorder.observe(
            RunFinished(
                run=self.url,
                time=time.time(),
                state=head.state,
                exit_code=head.exit_code or 0,
                done=totals.rows_done,
                failed=totals.rows_quarantined + totals.rows_failed,
                seconds=time.monotonic() - began,
            )
        )
