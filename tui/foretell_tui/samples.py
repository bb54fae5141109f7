"""``workers.json`` as samples, whatever release wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from foretell_tui.reading import Sample


def samples_of(data: bytes) -> tuple[Sample, ...]:
    """The samples in the document, by number; empty where it cannot be read."""
    try:
        found = json.loads(data)["workers"]
    except (ValueError, KeyError, TypeError):
        return ()
    samples = [sample for sample in map(_sample, found) if sample is not None]
    return tuple(sorted(samples, key=lambda sample: sample.index))


def _sample(data: Mapping[str, Any]) -> Sample | None:
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        figures = dict(data.get("deployment") or {})
        return Sample(
            index=int(data["index"]),
            host=str(data.get("host", "")),
            pid=int(data.get("pid", 0)),
            time=float(data.get("time", 0.0)),
            rss=data.get("rss"),
            rss_peak=data.get("rss_peak"),
            rss_limit=data.get("rss_limit"),
            cpu=data.get("cpu"),
            chunks=_in_hand(data.get("chunks", ())),
            gpus=tuple(
                (
                    str(gpu["uuid"]),
                    gpu.get("busy"),
                    int(gpu.get("used", 0)),
                    int(gpu.get("total", 0)),
                )
                for gpu in data.get("gpus") or figures.pop("gpus", ())
            ),
            job=str(data.get("job") or ""),
            devices=tuple(map(str, figures.pop("devices", ()))),
            figures=figures,
        )
    return None


def _in_hand(found: Any) -> tuple[tuple[int, int, str, float | None], ...]:
    """Chunks in hand, the one that is in hand longest first."""
    chunks = [(int(c[0]), int(c[1]), str(c[2]), float(c[3]) if len(c) > 3 else None) for c in found]
    return tuple(sorted(chunks, key=lambda chunk: -(chunk[3] or 0.0)))
