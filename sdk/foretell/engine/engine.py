"""The engine's front door: a cluster, a dry batch on it, and a session driven to its end."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from typing import Any

from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from foretell.config.schedule import ScheduleOptions
from foretell.engine import blame
from foretell.engine.cluster import Answered, Cluster, TaskEnded, WorkerJoined, WorkerLeft
from foretell.engine.crew import Crew
from foretell.engine.dispatch import Settings
from foretell.engine.driver import Driver
from foretell.engine.limits import Limits
from foretell.engine.messages import Trouble, WorkerJob
from foretell.engine.placement import Placement
from foretell.engine.probe import ProbeReport, ProbeRequest, probe
from foretell.engine.queue import WorkQueue
from foretell.engine.recorder import Recorder
from foretell.engine.rehearsal import RehearsalReport, RehearsalRequest, rehearse
from foretell.engine.stopping import Signalled, Stop, on_signal
from foretell.engine.tasks import LoadFailed
from foretell.errors import ForetellError, Interrupted, LoadError, ShapeMismatch
from foretell.plan import Plan
from foretell.types import JSON

PROBE_WAIT = 600.0
"""Seconds a dry batch may take, model loading included."""


def machine_cpus() -> int:
    """Cores this process may use, container limits included."""
    return int(CPU_COUNT)


def machine_memory() -> int:
    """Bytes of memory this process may use, container limits included."""
    return int(MEMORY_LIMIT)


class Engine:
    """A cluster for one run.

    Args:
        schedule: Where and how many workers.
        threads: Task threads of each worker: the chunks it may have in hand.
        cpu_threads: Threads inside one operation of the model.
        inbox: Where everything arrives; signals too.
    """

    def __init__(
        self,
        schedule: ScheduleOptions,
        threads: int,
        cpu_threads: int,
        inbox: queue.Queue[Any],
    ) -> None:
        self.schedule = schedule
        self.inbox = inbox
        self.cluster = Cluster(schedule, threads, cpu_threads, inbox)
        self._crew: Crew | None = None
        self._placement: Placement | None = None
        self.load_seconds: float | None = None
        self.devices: tuple[str, ...] = ()
        self.notes: tuple[tuple[str, str], ...] = ()
        self.sharding: tuple[Mapping[str, JSON], ...] = ()

    @property
    def spawned(self) -> bool:
        """Whether the workers are processes this one started."""
        return self.cluster.kind == "local"

    @property
    def inside(self) -> bool:
        """Whether the work happens in this very process."""
        return self.cluster.kind == "inside"

    def probe(self, job: WorkerJob, request: ProbeRequest, group_size: int) -> ProbeReport:
        """Run the dry batch on the first seat that is ready.

        Raises:
            LoadError: the model, source or worker cannot be used.
            ShapeMismatch: the outputs cannot be stored.
            Interrupted: a signal arrived meanwhile.
        """
        self._crew = crew = Crew(self.cluster, job, group_size, 0)
        self._await_seats(crew, 1)
        placement = self._place(job, crew)
        self._until(crew, lambda event: placement.ready)
        crew.renew_due(draining=False, force=True)
        seat = next(seat for seat in crew.seats if seat.ready)
        for member in seat.members:
            key = f"{job.run}-probe-{member.rank}"
            self.cluster.submit(key, member.address, probe, job.run, request)
        report: ProbeReport = self._collect(crew, len(seat.members), ProbeReport)[0]
        self.load_seconds, self.devices = report.load_seconds, report.devices
        self.notes, self.sharding = report.notes, report.sharding
        return report

    def rehearse(
        self, job: WorkerJob, start: int, stop: int, workers: int
    ) -> list[RehearsalReport]:
        """Rehearse on all workers at once, after a probe; a group rehearses not at all."""
        crew = self._crew
        assert crew is not None, "probe first"
        if any(len(seat.members) > 1 for seat in crew.seats):
            return []
        self._await_seats(crew, workers)
        seats = [seat for seat in crew.seats if seat.ready]
        for share, seat in enumerate(seats):
            request = RehearsalRequest(
                start, stop, share=share, shares=len(seats), batch_size=job.batch_size
            )
            key = f"{job.run}-rehearsal-{share}"
            self.cluster.submit(key, seat.address, rehearse, job.run, request)
        reports: list[RehearsalReport] = self._collect(crew, len(seats), RehearsalReport)
        return reports

    def _place(self, job: WorkerJob, crew: Crew) -> Placement:
        """The services of the run; those of the dry batch live on."""
        if self._placement is None:
            self._placement = Placement(
                self.cluster,
                job.services,
                job.run,
                job.base_dir,
                job.workers,
                lambda *_: None,
                job.service_memory,
            )
        crew.routes = self._placement.routes
        return self._placement

    def _await_seats(self, crew: Crew, count: int) -> None:
        self._until(crew, lambda event: sum(seat.ready for seat in crew.seats) >= count)

    def _collect(self, crew: Crew, count: int, kind: type[Any]) -> list[Any]:
        answers: list[Any] = []

        def took(event: Any) -> bool:
            if isinstance(event, TaskEnded):
                answers.append(_answer(event, kind))
            return len(answers) == count

        self._until(crew, took)
        return answers

    def _until(self, crew: Crew, finished: Callable[[Any], bool]) -> None:
        """Keep the crew going until an event finishes the wait."""
        deadline = time.monotonic() + PROBE_WAIT
        while not finished(None):
            if time.monotonic() > deadline:
                raise LoadError(f"no worker answered within {PROBE_WAIT:.0f} s", slug="dry-batch")
            crew.renew_due(draining=False)
            if self._placement is not None:
                self._placement.keep(crew)
            try:
                event = self.inbox.get(timeout=0.5)
            except queue.Empty:
                continue
            match event:
                case WorkerJoined(address):
                    crew.joined(address)
                case WorkerLeft(address):
                    self._died(crew, address)
                case TaskEnded() if self._placement is not None and self._placement.ended(event):
                    continue
                case Answered(what="install", error=error) if error:
                    if not crew.install_again(event):
                        raise _unprepared(error)
                case Answered(what="install"):
                    crew.installed(event)
                case Answered(what="renew"):
                    crew.renewed(event)
                case Signalled(number):
                    raise Interrupted(on_signal(number, None).reason)
            if finished(event):
                return

    def _died(self, crew: Crew, address: str) -> None:
        lost = crew.left(address)
        if lost is None:
            return
        _, member = lost
        _, output = blame.read_remains(member)
        verdict = blame.judge(member, [], (), self.cluster.exit_code(address), output)
        raise LoadError(
            "the worker died in the dry batch, before anything was predicted",
            facts=[("cause", verdict.trouble.message), ("printed", _last_lines(output))],
            tries=[("--set predictor.batch_size=…", "a smaller batch, if memory ran out")],
            slug="dry-batch",
        )

    def drive(
        self,
        job: WorkerJob,
        plan: Plan,
        work: WorkQueue,
        recorder: Recorder,
        settings: Settings,
        memory_limit: int | None,
        timeout: float | None,
        first_worker: int,
        cancelled: Callable[[], bool],
    ) -> Stop | None:
        """Run the session's chunks; None when all of them ended."""
        crew = Crew(self.cluster, job, plan.group_size, first_worker)
        placement = self._place(job, crew)
        placement.say = recorder.say
        if self._crew is not None:
            crew.take_over(self._crew)
        self._crew = crew
        limits = Limits(
            crew=crew,
            cluster=self.cluster,
            timeout=timeout,
            memory_limit=memory_limit,
            kill=not self.inside,
            say=recorder.say,
        )
        limits.typical = recorder.rates.slow_chunk
        driver = Driver(
            plan,
            work,
            self.cluster,
            crew,
            limits,
            placement,
            recorder,
            settings,
            self.inbox,
            cancelled,
        )
        return driver.run()

    def figures(self) -> Mapping[str, Any]:
        """What is known of the workers, for people."""
        return {"cluster": self.cluster.kind, "workers": self.cluster.workers()}

    def close(self) -> None:
        """Free the workers' models and leave the cluster."""
        if self._crew is not None:
            if not self.spawned:
                waiting = {member.address for member in self._crew.members()}
                for address in waiting:
                    self.cluster.forget(address, self._crew.job.run)
                self._await_farewell(len(waiting))
            for member in self._crew.members():
                if self.spawned:
                    blame.sweep_remains(member)
        self.cluster.close()

    def _await_farewell(self, count: int) -> None:
        """Give workers that outlive us a moment to let go."""
        deadline = time.monotonic() + 3.0
        while count and time.monotonic() < deadline:
            try:
                event = self.inbox.get(timeout=0.2)
            except queue.Empty:
                continue
            count -= isinstance(event, Answered) and event.what == "close"


def _answer(event: TaskEnded, kind: type[Any]) -> Any:
    if event.error:
        raise LoadError(
            "the cluster lost the dry batch", facts=[("cause", event.error)], slug="dry-batch"
        )
    if isinstance(event.result, LoadFailed):
        raise as_error(event.result)
    if not isinstance(event.result, kind):
        raise LoadError("a worker forgot the run during the dry batch", slug="dry-batch")
    return event.result


def as_error(failed: LoadFailed) -> ForetellError:
    """The error a worker reported, with its traceback as a note."""
    trouble: Trouble = failed.trouble
    kinds: dict[int, type[ForetellError]] = {ShapeMismatch.exit_code: ShapeMismatch}
    cls = kinds.get(failed.exit_code, LoadError)
    facts = trouble.facts
    message = trouble.message
    if not trouble.slug:
        facts = (("cause", f"{trouble.kind}: {trouble.message}"),)
        message = "a worker cannot load the model"
    error = cls(message, facts=facts, tries=trouble.tries, slug=trouble.slug or None)
    error.add_note(trouble.traceback)
    return error


def _unprepared(cause: str) -> LoadError:
    return LoadError(
        "a worker cannot be prepared",
        facts=[("cause", cause)],
        tries=[("install the same version of foretell on the workers", "")],
        slug="worker",
    )


def _last_lines(output: str, lines: int = 6) -> str:
    return "\n".join(output.strip().splitlines()[-lines:]) or "nothing"
