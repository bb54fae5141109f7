"""From a prepared job to a plan: how many slots and threads, the dry batch, the chunks."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cloudpickle

from foretell.engine import parts
from foretell.engine.batch_search import Bounds
from foretell.engine.engine import Engine, machine_cpus, machine_memory
from foretell.engine.messages import WorkerJob
from foretell.engine.probe import ProbeReport, ProbeRequest
from foretell.errors import ConfigError
from foretell.paths import cache_dir
from foretell.plan import (
    Plan,
    check_chunk_rows,
    check_outputs,
    choose_chunk_rows,
    chunks_in_hand,
    failure_budget,
)
from foretell.run.batch_size import bounds_of, described, remember, remembered
from foretell.run.prepare import Prepared
from foretell.types import JSON, OutputSpec

if TYPE_CHECKING:
    from foretell.run.execute import Request

DEFAULT_TIMEOUT = 600.0
"""Hard limit per chunk in worker processes when none is set."""


class Sizing:
    """How a job is spread over a machine: settings made concrete, once.

    Attributes:
        workers: Worker processes, 1 inside the calling process.
        slots, threads: Of each worker.
        in_hand: Chunks each worker may have in hand.
        threads_in_worker: Dask task threads of each worker.
        memory_limit: Bytes of one worker, None where it is not ours to know.
        timeout: Hard limit per chunk, None inside the calling process without a setting.
        batch_size: Rows of a batch: as set, found earlier, or a default that a search may change.
        bounds: What a search for it may choose.
    """

    def __init__(self, prepared: Prepared) -> None:
        schedule = prepared.schedule
        self.inside = schedule.cluster == "local" and schedule.workers == 0
        self.ours = schedule.cluster == "local"
        self.workers = max(1, schedule.workers)
        cpus = max(1, machine_cpus() // (self.workers if self.ours else 1))
        options = prepared.job.deployer
        self.slots = (options.slots if options else None) or prepared.deployer.slots(cpus)
        if prepared.deployer.group_size > 1:
            self.slots = 1
        self.threads = (options.threads if options else None) or prepared.deployer.threads(
            cpus, self.slots
        )
        self.in_hand = self.slots + 2
        # A service must be able to start while every chunk in hand waits for it.
        self.threads_in_worker = self.in_hand + (
            1 if prepared.deployer.services(prepared.predictor) else 0
        )
        self.memory_limit = self._memory(schedule.memory_limit)
        timeout = schedule.timeout
        self.timeout = timeout if timeout is not None or self.inside else DEFAULT_TIMEOUT
        self.bounds = bounds_of(prepared, self.device_slots)
        known = remembered(prepared, self.bounds, self.slots, self.threads)
        self.batch_size = prepared.batch_size() if known is None else known
        self.bounds = self.bounds if known is None else Bounds()

    def _memory(self, setting: int | str) -> int | None:
        if isinstance(setting, int):
            return setting
        return int(machine_memory() * 0.9 / self.workers) if self.ours else None

    @property
    def device_slots(self) -> int:
        """Batches computed at once over all workers."""
        return self.slots * self.workers


def run_name(url: str) -> str:
    """A short name for a run, the same for every session of it on every host."""
    place = url if "://" in url else os.path.abspath(url)
    return "ft" + hashlib.sha256(place.encode()).hexdigest()[:12]


def worker_job(
    prepared: Prepared,
    sizing: Sizing,
    url: str,
    *,
    plan: Plan | None,
    epoch: int,
    live: Mapping[str, Any],
) -> WorkerJob:
    """What is sent to every worker process.

    Raises:
        ConfigError: live objects that cannot be pickled are to go to other processes.
    """
    schedule = prepared.schedule
    name = run_name(url)
    pickled = None
    if live and sizing.inside:
        parts.LIVE[name] = live
    elif live:
        pickled = _pickled(live)
    return WorkerJob(
        run=name,
        url=url,
        base_dir=str(prepared.job.base_dir),
        sections=prepared.sections,
        plan=None if plan is None else plan.to_json(),
        epoch=epoch,
        workers=sizing.workers,
        batch_size=sizing.batch_size if plan is None else plan.batch_size,
        slots=sizing.slots if plan is None else plan.slots,
        threads=sizing.threads if plan is None else plan.threads,
        seed=prepared.job.predictor.seed,
        row_offset=prepared.start,
        power=prepared.job.writer.durability == "power",
        on_nan=schedule.on_nan,
        max_failed=plan.max_failed if plan is not None else 0,
        live=pickled,
        board=str(cache_dir() / "boards") if sizing.ours else "",
        local=sizing.ours and not sizing.inside,
        settings={"driver_pid": str(os.getpid())},
        services=tuple(prepared.deployer.services(prepared.predictor)),
        service_memory=prepared.deployer.service_memory,
    )


def _pickled(live: Mapping[str, Any]) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(dict(live))
    except Exception as error:  # whatever a user's object raises while it is pickled
        raise ConfigError(
            "the live objects cannot be sent to worker processes",
            facts=[("cause", f"{type(error).__name__}: {error}")],
            tries=[
                ('schedule={"workers": 0}', "run inside this process, nothing is pickled"),
                ('model="module:attribute"', "an import string"),
            ],
            slug="live-objects",
        ) from error
    return data


def make_plan(
    prepared: Prepared, sizing: Sizing, engine: Engine | None, url: str, request: Request
) -> Plan:
    """Learn the outputs from a dry batch and cut the rows into chunks.

    Raises:
        PlanError, OutputError, LoadError: nothing was created.
    """
    chunk = prepared.schedule.chunk
    group = prepared.deployer.group_size
    parts_of_chunk = group if prepared.deployer.group_rows == "split" else 1
    if chunk != "auto":
        check_chunk_rows(
            chunk, sizing.batch_size, parts_of_chunk, prepared.job.origin("schedule.chunk")
        )
    report = _probed(prepared, sizing, engine, url, request)  # may settle the batch size
    _check_chosen(prepared, report.outputs)
    check_outputs(report.outputs)
    row_bytes = max(report.row_bytes, prepared.source.row_bytes() or 0)
    if chunk == "auto":
        chunk = choose_chunk_rows(
            n_rows=prepared.n_rows,
            batch_size=sizing.batch_size,
            seconds_per_batch=min(report.batch_seconds, default=0.0),
            device_slots=sizing.device_slots,
            row_bytes=row_bytes + output_bytes(report.outputs),
            group_size=parts_of_chunk,
        )
    plan = Plan(
        n_rows=prepared.n_rows,
        row_offset=prepared.start,
        chunk_rows=chunk,
        batch_size=sizing.batch_size,
        slots=sizing.slots,
        threads=sizing.threads,
        group_size=group,
        parts=parts_of_chunk,
        seed=prepared.job.predictor.seed,
        outputs=report.outputs,
        keep=tuple(prepared.job.writer.keep),
        row_bytes=row_bytes,
        max_failed=failure_budget(prepared.schedule.max_failed, prepared.n_rows, chunk),
        attrs=_attrs(prepared),
    )
    chunks_in_hand(plan, sizing.memory_limit, prepared.job.origin("schedule.memory_limit"))
    return plan


def _probed(
    prepared: Prepared, sizing: Sizing, engine: Engine | None, url: str, request: Request
) -> ProbeReport:
    if engine is None:
        return _unprobed(prepared)
    job = worker_job(prepared, sizing, url, plan=None, epoch=0, live=request.live)
    ask = ProbeRequest(
        prepared.start,
        prepared.stop,
        tuple(prepared.job.writer.keep),
        batches=2 if prepared.schedule.chunk == "auto" or sizing.bounds.largest else 0,
        bounds=sizing.bounds,
    )
    report = engine.probe(job, ask, prepared.deployer.group_size)
    if report.search is not None:
        remember(prepared, report.search, sizing.slots, sizing.threads)
        sizing.batch_size = report.search.batch_size
        request.sink.note("INFO", described(report.search))
    for warning in report.warnings:
        request.sink.note("WARN", warning)
    return report


def _unprobed(prepared: Prepared) -> ProbeReport:
    """Without rows there is nothing to try: the outputs are as declared, or one empty array."""
    declared = prepared.predictor.output_specs()
    outputs = tuple(declared) if declared else (OutputSpec("output", (), "float32"),)
    return ProbeReport(outputs, 0, (), (), 0.0, ())


def _check_chosen(prepared: Prepared, outputs: tuple[OutputSpec, ...]) -> None:
    chosen = prepared.job.predictor.outputs
    names = {spec.name for spec in outputs}
    missing = [name for name in chosen or () if name not in names] if prepared.n_rows else []
    if missing:
        raise ConfigError(
            f"the model has no output {missing[0]!r}",
            facts=[
                ("outputs", f"{list(chosen or ())} ({prepared.job.origin('predictor.outputs')})"),
                ("model's", ", ".join(sorted(names))),
            ],
            slug="config-outputs",
        )


def output_bytes(outputs: tuple[OutputSpec, ...]) -> int:
    """Bytes of one row of all outputs."""
    from foretell.plan import spec_bytes

    return sum(spec_bytes(spec) for spec in outputs)


def _attrs(prepared: Prepared) -> dict[str, JSON]:
    """What the store's root says of the run: no times, no ids."""
    attrs: dict[str, JSON] = {
        "source_kind": str(prepared.sections["source"]["kind"]),
        "predictor_kind": str(prepared.sections["predictor"]["kind"]),
        "unit": prepared.source.unit,
        "row_offset": prepared.start,
    }
    grid = prepared.source.row_grid()
    if grid is not None:
        attrs["row_grid"] = [int(extent) for extent in grid]
    return attrs


def memory_bounded(plan: Plan, sizing: Sizing, origin: str) -> int:
    """Chunks each worker may hold at once under a memory limit."""
    in_hand = chunks_in_hand(plan, sizing.memory_limit, origin)
    return min(in_hand, sizing.in_hand)


def with_budget(plan: Plan, setting: int | str) -> Plan:
    """The stored plan under this session's failure budget."""
    return dataclasses.replace(
        plan, max_failed=failure_budget(setting, plan.n_rows, plan.chunk_rows)
    )
