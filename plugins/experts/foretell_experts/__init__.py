"""Expert pool: torch modules behind task pools, dynamic batching, mixtures of experts.

The names below are imported when they are first used: importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell_experts.backend import ExpertBackend, ModuleBackend
    from foretell_experts.errors import (
        PoolClosed,
        PoolError,
        PoolFull,
        ProcessFailed,
        ProcessHung,
        TaskExpired,
        TaskRefused,
    )
    from foretell_experts.futures import TaskFuture
    from foretell_experts.nested import nested_compare, nested_flatten, nested_map, nested_pack
    from foretell_experts.pool import TaskPool
    from foretell_experts.runtime import Runtime
    from foretell_experts.schema import DUMMY_BATCH_SIZE, BatchTensorDescriptor, BatchTensorProto

_WHERE = {
    "BatchTensorDescriptor": "schema",
    "BatchTensorProto": "schema",
    "DUMMY_BATCH_SIZE": "schema",
    "ExpertBackend": "backend",
    "ModuleBackend": "backend",
    "PoolClosed": "errors",
    "PoolError": "errors",
    "PoolFull": "errors",
    "ProcessFailed": "errors",
    "ProcessHung": "errors",
    "Runtime": "runtime",
    "TaskExpired": "errors",
    "TaskFuture": "futures",
    "TaskPool": "pool",
    "TaskRefused": "errors",
    "nested_compare": "nested",
    "nested_flatten": "nested",
    "nested_map": "nested",
    "nested_pack": "nested",
}

__all__ = [
    "DUMMY_BATCH_SIZE",
    "BatchTensorDescriptor",
    "BatchTensorProto",
    "ExpertBackend",
    "ModuleBackend",
    "PoolClosed",
    "PoolError",
    "PoolFull",
    "ProcessFailed",
    "ProcessHung",
    "Runtime",
    "TaskExpired",
    "TaskFuture",
    "TaskPool",
    "TaskRefused",
    "nested_compare",
    "nested_flatten",
    "nested_map",
    "nested_pack",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'foretell_experts' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"foretell_experts.{_WHERE[name]}")
    except ModuleNotFoundError as error:
        from foretell_experts.errors import framework_missing

        raise framework_missing(error) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
