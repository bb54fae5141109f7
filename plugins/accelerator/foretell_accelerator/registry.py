"""Targets and rewrites, this package's and everyone's, by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from foretell.errors import PluginError
from foretell.plugins.discovery import BUILTIN, Discovery, Origin
from foretell.plugins.registry import Registry, load_target
from foretell.types import Entry

from foretell_accelerator import hookspecs, plugin
from foretell_accelerator.rewriting import Rewrite
from foretell_accelerator.targets.base import Target


@cache
def _registries() -> tuple[Registry, Registry]:
    discovery = Discovery()
    discovery.manager.add_hookspecs(hookspecs)
    discovery.add(Origin(BUILTIN, "foretell", plugin.__name__), plugin)
    discovery.add_entry_points(os.environ)
    return (
        Registry("target", "register_targets", discovery),
        Registry("rewrite", "register_rewrites", discovery),
    )


def targets() -> Sequence[Entry]:
    """Every registered target, without importing any."""
    return [claim.entry for claim in _registries()[0].claims()]


def target(name: str) -> Target:
    """The target called ``name``.

    Raises:
        UnknownPlugin: there is none; knows the registered names and a near one.
        PluginError: two distributions claim the name, or it is no target.
    """
    registry = _registries()[0]
    claim = registry.claim(name)
    found = load_target("target", claim)
    if not (isinstance(found, type) and issubclass(found, Target)):
        raise _misfit("target", name, claim.origin, found, "Target")
    made: Target = found()
    return made


def rewrite(name: str) -> Rewrite:
    """The rewrite called ``name``; raises as :func:`target`."""
    registry = _registries()[1]
    claim = registry.claim(name)
    found: Any = load_target("rewrite", claim)
    if not callable(found):
        raise _misfit("rewrite", name, claim.origin, found, "function")
    made: Rewrite = found
    return made


def _misfit(role: str, name: str, origin: object, found: Any, wanted: str) -> PluginError:
    return PluginError(
        f'the {role} "{name}" is not a {wanted}',
        facts=[
            ("plugin", str(origin)),
            ("got", getattr(found, "__name__", type(found).__name__)),
        ],
        slug="plugin-contract",
    )


def fitting(framework: str) -> list[str]:
    """Names of the targets that compile models of a framework."""
    names = []
    for entry in targets():
        try:
            fits = framework in target(entry.name).frameworks
        except Exception:  # a broken stranger must not spoil the list
            continue
        if fits:
            names.append(entry.name)
    return names
