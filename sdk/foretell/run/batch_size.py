"""``batch_size = "auto"``: what a search may choose, and what an earlier search chose."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from pathlib import Path

from foretell.engine.batch_search import Bounds, Found
from foretell.paths import cache_dir
from foretell.plan import AUTO_BATCH_SIZE
from foretell.run.prepare import Prepared

CHUNKS_PER_SLOT = 4


def bounds_of(prepared: Prepared, device_slots: int) -> Bounds:
    """What may be tried: nothing where the size is set, else enough batches for every slot."""
    options = prepared.job.predictor
    if options.batch_size != "auto" or not prepared.predictor.supports_auto_batch_size:
        return Bounds()
    if prepared.deployer.group_size > 1:
        return Bounds()
    chunk = prepared.schedule.chunk
    most = prepared.n_rows // (CHUNKS_PER_SLOT * device_slots)
    if most < 2 * AUTO_BATCH_SIZE:
        return Bounds()  # few rows: nothing to gain
    return Bounds(largest=most, divides=0 if chunk == "auto" else chunk, slots=device_slots)


def remembered(prepared: Prepared, bounds: Bounds, slots: int, threads: int) -> int | None:
    """The size an earlier search found for this model on this host, if it may be used here."""
    if not bounds.largest:
        return None
    try:
        found = json.loads(_place(prepared, slots, threads).read_text(encoding="utf-8"))
        size = int(found["batch_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fits = 0 < size <= bounds.largest and not (bounds.divides and bounds.divides % size)
    return size if fits else None


def remember(prepared: Prepared, found: Found, slots: int, threads: int) -> None:
    """Keep what a search found for the next run. A cache that cannot be written is no error."""
    place = _place(prepared, slots, threads)
    text = json.dumps({"batch_size": found.batch_size, "ceiling": found.ceiling})
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = place.with_suffix(f".{os.getpid()}")
        staged.write_text(text, encoding="utf-8")
        staged.replace(place)


def described(found: Found) -> str:
    """One line for people."""
    best: dict[int, float] = {}
    for size, rate in found.tried:
        best[size] = max(rate, best.get(size, 0.0))
    paces = ", ".join(f"{size:,} {rate:,.0f} rows/s" for size, rate in sorted(best.items()))
    full = "" if found.ceiling is None else f"; no memory for {found.ceiling:,}"
    return f"batch size {found.batch_size:,} of those tried: {paces}{full}"


def _place(prepared: Prepared, slots: int, threads: int) -> Path:
    known = [
        *sorted(prepared.predictor.fingerprint().items()),
        {name: str(value) for name, value in prepared.sections["predictor"].items()},
        {name: str(value) for name, value in prepared.sections["deployer"].items()},
        [prepared.sections["source"]["kind"], prepared.source.row_bytes()],
        [socket.gethostname(), slots, threads],
    ]
    name = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:24]
    return cache_dir() / "batch-sizes" / f"{name}.json"
