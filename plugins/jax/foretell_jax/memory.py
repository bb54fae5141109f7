"""Whether parameters fit a device, told before any of them is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psutil
from foretell.errors import LoadError
from foretell.text import size

from foretell_jax.explain import Placed, bytes_per_device


def device_memory(devices: Sequence[Any], setting: int | None = None) -> int | None:
    """Bytes each of these devices of this process may hold; None where nobody knows.

    CPU devices share the host's memory between them.
    """
    if setting is not None:
        return setting
    if devices[0].platform == "cpu":
        return int(psutil.virtual_memory().total) // len(devices)
    stats = devices[0].memory_stats() or {}
    limit = stats.get("bytes_limit")
    return None if limit is None else int(limit)


def check_fit(parameters: Sequence[Placed], limit: int | None, devices: int) -> None:
    """Refuse parameters that a device cannot hold.

    Raises:
        LoadError: with the largest of them.
    """
    needed = bytes_per_device(parameters)
    if limit is None or needed <= limit:
        return
    largest = sorted(parameters, key=lambda item: -item.bytes_per_device)[:3]
    raise LoadError(
        "the parameters do not fit the memory of a device",
        facts=[
            ("expected", f"at most {size(limit)} on each of {devices} devices"),
            ("got", f"{size(needed)} under these rules"),
            (
                "largest",
                "\n".join(
                    f"{'/'.join(p.path)} {p.shape}: {size(p.bytes_per_device)}" for p in largest
                ),
            ),
        ],
        tries=[
            ("more model shards", "each device then holds less"),
            ("--set deployer.precision=bf16", "half of float32"),
        ],
        slug="device-memory",
    )
