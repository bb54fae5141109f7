"""Where everything about a run lies inside its store: the keys under ``_run/``."""

from __future__ import annotations

import re

RUN = "_run"
MANIFEST = "_run/manifest.json"
HEAD = "_run/head.json"
WORKERS = "_run/workers.json"
LEDGER = "_run/ledger"
FAILURES = "_run/failures"
LOG = "_run/log"
METRICS = "_run/metrics"
FOLD = "_run/fold"
CONTROL = "_run/control"
STAGE = "_run/stage"
"""Local stores only: where objects are written before they take their place."""

PROBE = ".foretell-"
"""Names begin so of what is created and removed again, to see whether a store can be written."""

_NUMBERED = re.compile(r"(\d{12})\.jsonl\Z")
_CONTROL = re.compile(rf"{CONTROL}/(\d{{6,}})-.+\.json\Z")
_FOLD_NAME = re.compile(r"(\d{6,})-(\d{12,})\Z")


def numbered_key(folder: str, number: int) -> str:
    """Key of segment ``number`` (1-based) of the ledger, the failures, the log or the metrics."""
    return f"{folder}/{number:012d}.jsonl"


def segment_key(number: int) -> str:
    """Key of ledger segment ``number``, 1-based."""
    return numbered_key(LEDGER, number)


def number_of(key: str) -> int | None:
    """The number in a key made by :func:`numbered_key`, None for anything else."""
    match = _NUMBERED.search(key)
    return int(match[1]) if match else None


def worker_labels(epoch: int) -> str:
    """How the labels of all workers of session ``epoch`` begin, under which they stage."""
    return f"e{epoch:06d}-"


def fold_name(epoch: int, sequence: int) -> str:
    """Name of the fold that epoch ``epoch`` made of all segments up to ``sequence``."""
    return f"{epoch:06d}-{sequence:012d}"


def parse_fold_name(name: str) -> tuple[int, int] | None:
    """``(epoch, sequence)`` of a fold's name, None for anything else."""
    match = _FOLD_NAME.match(name)
    return (int(match[1]), int(match[2])) if match else None


def fold_key(name: str, *parts: str) -> str:
    """Key of something inside the fold ``name``."""
    return "/".join((FOLD, name, *parts))


def fold_marker(name: str) -> str:
    """Key of the object that says the fold ``name`` is complete; written last."""
    return fold_key(name, "complete.json")


def control_prefix(epoch: int) -> str:
    """What the keys of all requests to session ``epoch`` begin with."""
    return f"{CONTROL}/{epoch:06d}-"


def control_key(name: str, epoch: int) -> str:
    """Key of the request ``name`` to session ``epoch``."""
    return f"{control_prefix(epoch)}{name}.json"


def control_epoch(key: str) -> int | None:
    """The session a request is for, None for anything else."""
    match = _CONTROL.match(key)
    return int(match[1]) if match else None
