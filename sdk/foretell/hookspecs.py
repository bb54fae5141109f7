"""Every hook of Foretell, in the order of a run's life.

Hooks *choose* and *observe*; objects *work*. A plugin is a module (or any object) found under the
entry-point group ``foretell`` whose functions carry ``@foretell.hookimpl``. Importing it must be
light: no framework, no model code; the :class:`~foretell.types.Entry` values it returns name what
to import once something is really selected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foretell.events import ChunkFailed, ChunkFinished, RunFinished, RunPlanned, RunStarted
    from foretell.types import Entry

PROJECT = "foretell"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# --- choosing: called when names are listed or one is looked up -------------------------------


@hookspec
def register_sources() -> Iterable[Entry]:  # type: ignore[empty-body]
    """Sources this plugin offers, as ``[source] kind``; targets are ``Source`` classes.

    Called by the plugin manager when source names are first needed, in any process.
    """


@hookspec
def register_predictors() -> Iterable[Entry]:  # type: ignore[empty-body]
    """Predictors this plugin offers, as ``[predictor] kind``; targets are ``Predictor`` classes.

    Called by the plugin manager when predictor names are first needed, in any process.
    """


@hookspec
def register_deployers() -> Iterable[Entry]:  # type: ignore[empty-body]
    """Deployers this plugin offers, as ``[deployer] kind``; targets are ``Deployer`` classes.

    Called by the plugin manager when deployer names are first needed, in any process.
    """


@hookspec
def register_writers() -> Iterable[Entry]:  # type: ignore[empty-body]
    """Writers this plugin offers, as ``[writer] kind``; targets are ``Writer`` classes.

    Called by the plugin manager when writer names are first needed, in any process.
    """


@hookspec
def register_previews() -> Iterable[Entry]:  # type: ignore[empty-body]
    """Previews of results; targets are callables ``preview(meta, block, width, height)``.

    Called by viewers. Each is given a :class:`foretell.previews.BlockMeta`, an array of predicted
    rows and the cells there are, and returns a value of ``foretell.previews`` or None. Asked in
    order of registration, strangers before built-ins; the first whose answer is not None wins. One
    that raises is not asked again.
    """


@hookspec
def register_commands() -> Iterable[Entry]:  # type: ignore[empty-body]
    """Commands added to ``sdk``; targets are ``click.Command`` objects, imported when typed.

    Called by the command line when a command is looked up or help is shown. A name a built-in
    command has is refused.
    """


# --- observing: called in the driver, in this order, each with one frozen event ---------------


@hookspec
def run_planned(event: RunPlanned) -> None:
    """The plan stands and the store exists; nothing has been dispatched."""


@hookspec
def run_started(event: RunStarted) -> None:
    """Workers are there; the first chunk is about to be dispatched."""


@hookspec
def chunk_finished(event: ChunkFinished) -> None:
    """A chunk is durable in the ledger. Called in the driver's own thread: be quick."""


@hookspec
def chunk_failed(event: ChunkFailed) -> None:
    """An attempt ended without a commit, after that was recorded."""


@hookspec
def run_finished(event: RunFinished) -> None:
    """The last call of a session, whatever its end. Not made when the driver is killed."""
