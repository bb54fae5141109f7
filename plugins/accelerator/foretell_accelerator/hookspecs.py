"""Hooks this package adds to Foretell's own, for targets and rewrites of other packages."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy
from foretell.hookspecs import PROJECT
from foretell.types import Entry

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def register_targets() -> Iterable[Entry]:  # type: ignore[empty-body]
    """Targets this plugin offers; their ``target`` is a ``foretell_accelerator.Target`` class.

    Called when target names are first needed, in any process.
    """


@hookspec
def register_rewrites() -> Iterable[Entry]:  # type: ignore[empty-body]
    """Rewrites of models this plugin offers; their ``target`` is a ``Rewrite`` function.

    Called when rewrite names are first needed, in any process.
    """
