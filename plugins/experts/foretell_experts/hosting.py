"""The runtime that the experts of one process share: one thread computes for all of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from foretell_experts.pool import TaskPool
from foretell_experts.runtime import Runtime


class Tenant(Protocol):
    """An expert that lives in this process."""

    name: str

    def get_pools(self) -> Sequence[TaskPool]:
        """Its pools."""
        ...


@dataclass(slots=True)
class _House:
    runtime: Runtime | None = None
    tenants: dict[str, Tenant] = field(default_factory=dict)
    placed: int = 0


_HOUSE = _House()
_LOCK = threading.Lock()


def move_in(tenant: Tenant, process_timeout: float, threads: int) -> str:
    """Have a tenant's pools computed; the runtime starts with the first one.

    Args:
        tenant: With pools that stay the same.
        process_timeout: Seconds a call may take; the longest of all tenants counts.
        threads: Threads inside one operation.

    Returns:
        A key for :func:`move_out`.
    """
    with _LOCK:
        if _HOUSE.runtime is None:
            _HOUSE.runtime = Runtime(process_timeout=process_timeout)
            _HOUSE.runtime.start()
        runtime = _HOUSE.runtime
        runtime.process_timeout = max(runtime.process_timeout, process_timeout)
        runtime.threads = threads
        _HOUSE.placed += 1
        key = f"{tenant.name}-{_HOUSE.placed}"
        runtime.add(key, tenant)
        _HOUSE.tenants[key] = tenant
        return key


def move_out(key: str) -> None:
    """Serve a tenant no longer; the runtime ends with the last one."""
    with _LOCK:
        runtime = _HOUSE.runtime
        if runtime is None or _HOUSE.tenants.pop(key, None) is None:
            return
        runtime.remove(key)
        if _HOUSE.tenants:
            return
        _HOUSE.runtime = None
    runtime.shutdown()


def figures() -> dict[str, Any]:
    """Statistics of the experts of this process, by name."""
    with _LOCK:
        tenants = list(_HOUSE.tenants.values())
    return {tenant.name: pool.figures() for tenant in tenants for pool in tenant.get_pools()[:1]}


_TURNS = {"cuda": 0}


def choose_device(asked: str) -> str:
    """The device for the next expert: ``auto`` takes CUDA devices in turn, else the CPU."""
    if asked != "auto":
        return asked
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return "cpu"
    with _LOCK:
        turn = _TURNS["cuda"]
        _TURNS["cuda"] += 1
    return f"cuda:{turn % count}"
