"""Telling observers, so that none of them can hurt the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foretell.events import (
    ChunkFailed,
    ChunkFinished,
    Event,
    RunFinished,
    RunPlanned,
    RunStarted,
)
from foretell.plugins.discovery import Broken, Discovery, reason_of, traceback_of

Report = Callable[[Broken], None]
"""Told about an observer that was switched off."""

HOOKS = ("run_planned", "run_started", "chunk_finished", "chunk_failed", "run_finished")


class Observers:
    """Calls each observer by itself; one that raises is reported once and switched off.

    Args:
        discovery: Who is registered when the run starts.
        report: Told about those that raise, each once.
    """

    def __init__(self, discovery: Discovery, report: Report) -> None:
        self._discovery = discovery
        self._report = report
        self._off: set[str] = set()
        self._callers = {hook: self._callers_of(hook) for hook in HOOKS}

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return any(self._callers.values())

    def run_planned(self, event: RunPlanned) -> None:
        """The plan stands and the store exists; nothing has been dispatched."""
        self._tell("run_planned", event)

    def run_started(self, event: RunStarted) -> None:
        """Workers are there; the first chunk is about to be dispatched."""
        self._tell("run_started", event)

    def chunk_finished(self, event: ChunkFinished) -> None:
        """A chunk is durable in the ledger."""
        self._tell("chunk_finished", event)

    def chunk_failed(self, event: ChunkFailed) -> None:
        """An attempt ended without a commit."""
        self._tell("chunk_failed", event)

    def run_finished(self, event: RunFinished) -> None:
        """The last call of a session."""
        self._tell("run_finished", event)

    def _callers_of(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        manager = self._discovery.manager
        implemented = {impl.plugin_name for impl in getattr(manager.hook, hook).get_hookimpls()}
        callers: list[tuple[str, Callable[..., Any]]] = []
        for name in self._discovery.origins:
            if name in implemented:
                others = [p for other, p in manager.list_name_plugin() if other != name]
                callers.append((name, manager.subset_hook_caller(hook, others)))
        return callers

    def _tell(self, hook: str, event: Event) -> None:
        for name, call in self._callers[hook]:
            if name in self._off:
                continue
            try:
                call(event=event)
            except (Exception, SystemExit) as error:
                self._off.add(name)
                text = f"{hook} raised {reason_of(error)}; the observer is switched off"
                origin = self._discovery.origins[name]
                self._report(Broken(origin, text, traceback_of(error)))
