"""The driver's own parts of a job: checked and fingerprinted before anything starts."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foretell._version import __version__
from foretell.abc import Deployer, Predictor, Source
from foretell.config.job import Job
from foretell.config.schedule import ScheduleOptions
from foretell.engine import parts
from foretell.errors import ConfigError, FingerprintMismatch, PlanError
from foretell.fingerprint import differences
from foretell.plan import AUTO_BATCH_SIZE
from foretell.store.manifest import Manifest
from foretell.text import word

SECTIONS = ("source", "predictor", "deployer", "writer")

_ELSEWHERE = {
    "source": {"path", "fingerprint"},
    "predictor": {"checkpoint", "model", "collate", "postprocess"},
    "deployer": set(),
    "writer": {"path", "durability"},
}
"""Settings whose content is fingerprinted, or that change no stored value."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job's parts in the driver.

    Attributes:
        job: The settings.
        source, predictor, deployer: Built, nothing loaded.
        sections: Options as plain data, as workers get them.
        live: Live objects the job was started with.
        start, stop: The rows of the source that are predicted.
    """

    job: Job
    source: Source
    predictor: Predictor
    deployer: Deployer
    sections: Mapping[str, Mapping[str, Any]]
    live: Mapping[str, Any]
    start: int
    stop: int

    @property
    def n_rows(self) -> int:
        """Rows to predict."""
        return self.stop - self.start

    @property
    def schedule(self) -> ScheduleOptions:
        """How the work is cut and spread."""
        return self.job.schedule

    def batch_size(self) -> int:
        """Rows of a batch: as set, or a default that fits the rows and a chunk that is set."""
        setting = self.job.predictor.batch_size
        if setting != "auto":
            if setting < 1:
                raise PlanError(
                    "the batch size must be at least 1",
                    facts=[
                        ("batch_size", f"{setting} ({self.job.origin('predictor.batch_size')})")
                    ],
                    slug="plan-batch",
                )
            return setting
        fitting = 1 << max(0, self.n_rows - 1).bit_length()
        size = max(1, min(AUTO_BATCH_SIZE, fitting))
        group, chunk = self.deployer.group_size, self.schedule.chunk
        if isinstance(chunk, int) and chunk % size and group == 1:
            size = _divisor(chunk, size)
        return -(-size // group) * group

    def fingerprint(self) -> dict[str, str]:
        """What must be equal for two sessions to belong to one run."""
        found = {f"source.{k}": v for k, v in self.source.fingerprint().items()}
        found |= {f"predictor.{k}": v for k, v in self.predictor.fingerprint().items()}
        for name in SECTIONS:
            for key, value in sorted(self.sections[name].items()):
                if key not in _ELSEWHERE[name] and value is not None:
                    found.setdefault(f"{name}.{key}", str(value))
        found["schedule.chunk"] = str(self.schedule.chunk)
        found |= {f"versions.{name}": text for name, text in versions().items()}
        return found


def _divisor(chunk: int, size: int) -> int:
    """The largest batch not above ``size`` that fits a chunk evenly; ``size`` when that is tiny."""
    least = min(chunk, size // 4)
    return next((rows for rows in range(size, least - 1, -1) if chunk % rows == 0), size)


def versions() -> dict[str, str]:
    """Versions of what computes, that byte-identical results are promised for."""
    return {
        "foretell": __version__,
        "numpy": np.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def prepare(job: Job, live: Mapping[str, Any]) -> Prepared:
    """Build the parts of a job in the driver.

    Raises:
        ConfigError: a part is unknown, or the deployer does not fit the predictor.
        LoadError: data or a file is missing.
    """
    base = str(job.base_dir)
    sections = _sections(job)
    source = parts.build_source(sections["source"], base, live)
    predictor = parts.build_predictor(sections["predictor"], base, live)
    if job.deployer is None:
        sections["deployer"] = {"kind": predictor.default_deployer}
    deployer = parts.build_deployer(sections["deployer"], base)
    _check_fit(job, predictor, deployer)
    start, stop = _rows(job, len(source))
    return Prepared(job, source, predictor, deployer, sections, live, start, stop)


def _sections(job: Job) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name in SECTIONS:
        options = job.section(name)
        found[name] = {} if options is None else options.model_dump(mode="python")
    return found


def _check_fit(job: Job, predictor: Predictor, deployer: Deployer) -> None:
    if predictor.model_kind in deployer.accepts:
        return
    known = parts.plugins()
    fitting = [
        entry.name for entry in known.deployers() if predictor.model_kind in _accepts(entry.name)
    ]
    kind = job.deployer.kind if job.deployer is not None else predictor.default_deployer
    raise ConfigError(
        f"deployer {kind!r} cannot run the models of predictor {job.predictor.kind!r}",
        facts=[
            ("deployer", f"{kind} ({job.origin('deployer.kind')})"),
            ("accepts", ", ".join(sorted(deployer.accepts))),
            ("model", predictor.model_kind),
        ],
        tries=[(f"--set deployer.kind={name}", "") for name in fitting],
        slug="deployer",
    )


def _accepts(kind: str) -> frozenset[str]:
    try:
        return parts.plugins().deployer(kind).accepts
    except Exception:  # a broken plugin that is not selected must not spoil another's message
        return frozenset()


def _rows(job: Job, length: int) -> tuple[int, int]:
    chosen = job.source.rows
    if chosen is None:
        return 0, length
    first, _, last = chosen.partition(":")
    start, stop = int(first or 0), int(last) if last else length
    if not 0 <= start <= stop or start > length:
        raise PlanError(
            "the rows chosen are not in the source",
            facts=[
                ("rows", f"{chosen} ({job.origin('source.rows')})"),
                ("source", f"{length:,} rows"),
            ],
            tries=[("--set source.rows=0:1000", "the first thousand")],
            slug="plan-rows",
        )
    return start, min(stop, length)


def check_same_job(url: str, manifest: Manifest, now: Mapping[str, str], done: str) -> None:
    """Refuse to continue a run with another job.

    Args:
        url: The run store.
        manifest: Of the run that is there.
        now: The fingerprint of the job at hand.
        done: How far the run is, for people.

    Raises:
        FingerprintMismatch: naming every part that differs and the legal next commands.
    """
    changed = differences(manifest.fingerprint, now)
    if not changed:
        return
    facts = [("store", f"{url} ({done})")]
    for position, (name, (before, after)) in enumerate(changed.items()):
        label = "differs" if position == 0 else ""
        facts.append((label, f"{name} {_brief(before)} → {_brief(after)}"))
    stem, dot, suffix = url.rpartition(".")
    other = f"{stem}-2.{suffix}" if dot and "/" not in suffix else f"{url}-2"
    tries = [(f"--output {other}", "keep both")]
    if not manifest.live:
        effect = "finish the stored job as it was, where its files still exist"
        tries.append((f"sdk resume {word(url)}", effect))
    raise FingerprintMismatch("this store belongs to another job", facts=facts, tries=tries)


def _brief(text: str) -> str:
    if not text:
        return "(absent)"
    head, colon, digest = text.partition(":")
    if colon and len(digest) >= 16 and all(c in "0123456789abcdef" for c in digest):
        return f"{head} {digest[:8]}…"
    return text if len(text) <= 60 else f"{text[:57]}…"
