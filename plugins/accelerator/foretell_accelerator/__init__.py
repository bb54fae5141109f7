"""Models compiled ahead of time for an accelerator, and text generation on them.

Importing this package imports no framework; each public name brings its own when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell_accelerator.artifact import Artifact, load
    from foretell_accelerator.compiling import compile
    from foretell_accelerator.decoding.door import driven, generate
    from foretell_accelerator.errors import ArtifactError, CompileError, InputError
    from foretell_accelerator.manifest import Manifest, Program
    from foretell_accelerator.rewriting import Rewrite, RewriteContext
    from foretell_accelerator.targets.base import Runner, Target, TargetSettings, Traceable

_HOMES = {
    "Artifact": "foretell_accelerator.artifact",
    "ArtifactError": "foretell_accelerator.errors",
    "CompileError": "foretell_accelerator.errors",
    "InputError": "foretell_accelerator.errors",
    "Manifest": "foretell_accelerator.manifest",
    "Program": "foretell_accelerator.manifest",
    "Rewrite": "foretell_accelerator.rewriting",
    "RewriteContext": "foretell_accelerator.rewriting",
    "Runner": "foretell_accelerator.targets.base",
    "Target": "foretell_accelerator.targets.base",
    "TargetSettings": "foretell_accelerator.targets.base",
    "Traceable": "foretell_accelerator.targets.base",
    "compile": "foretell_accelerator.compiling",
    "driven": "foretell_accelerator.decoding.door",
    "generate": "foretell_accelerator.decoding.door",
    "load": "foretell_accelerator.artifact",
}

__all__ = [
    "Artifact",
    "ArtifactError",
    "CompileError",
    "InputError",
    "Manifest",
    "Program",
    "Rewrite",
    "RewriteContext",
    "Runner",
    "Target",
    "TargetSettings",
    "Traceable",
    "compile",
    "driven",
    "generate",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
