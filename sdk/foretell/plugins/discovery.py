"""Finding plugins: built-ins through their module, strangers through the entry-point group."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

import pluggy

from foretell import hookspecs
from foretell.redact import redact_text

GROUP = "foretell"
"""Entry-point group, the same for in-tree plugins and strangers."""

BUILTIN = "builtin"
"""Name of the plugin that brings everything built in."""

DISABLE = "FORETELL_DISABLE_PLUGINS"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who a plugin is.

    Attributes:
        name: Name of its entry point.
        distribution: Name and version of the distribution that brings it.
        target: Its module.
    """

    name: str
    distribution: str
    target: str

    def __str__(self) -> str:
        return f"{self.distribution} ({self.target})"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin, or one thing it registered, that cannot be used.

    Attributes:
        origin: Who.
        reason: Why, one line.
        traceback: Where, empty when nothing was raised.
    """

    origin: Origin
    reason: str
    traceback: str = ""


@contextlib.contextmanager
def quiet_stdout() -> Any:
    """Send what foreign code prints while it is imported to stderr: stdout is data."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def reason_of(error: BaseException) -> str:
    """One line for any exception, secrets hidden."""
    text = redact_text(str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def traceback_of(error: BaseException) -> str:
    """The traceback as text, secrets hidden, no local variables."""
    return redact_text("".join(traceback.format_exception(error)))


class Discovery:
    """Registers every plugin with one pluggy manager, isolating those that fail.

    Attributes:
        manager: The pluggy manager; plugins may add hooks of their own to it.
        origins: Who each registered plugin is, by its name there.
        broken: Those that failed, in the order they were met.
    """

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.origins: dict[str, Origin] = {}
        self.broken: list[Broken] = []

    def add_builtin(self) -> None:
        """Register the built-ins: through the same hooks as everyone."""
        from foretell._version import __version__

        origin = Origin(BUILTIN, f"foretell {__version__}", "foretell.builtin")
        self.add(origin, import_module("foretell.builtin"))

    def add_entry_points(self, env: Mapping[str, str]) -> None:
        """Import and register the module of every entry point, unless that is switched off."""
        if env.get(DISABLE, "") not in ("", "0"):
            return
        for point in sorted(metadata.entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
            self._add_entry_point(point)

    def _add_entry_point(self, point: metadata.EntryPoint) -> None:
        dist = point.dist
        distribution = f"{dist.name} {dist.version}" if dist is not None else "unknown"
        origin = Origin(point.name, distribution, point.value)
        try:
            with quiet_stdout():
                plugin = point.load()
        except (Exception, SystemExit) as error:
            self.broken.append(Broken(origin, reason_of(error), traceback_of(error)))
            return
        self.add(origin, plugin)

    def add(self, origin: Origin, plugin: object) -> None:
        """Register one plugin; a second one of its name is kept apart by its distribution."""
        name = origin.name
        if name in self.origins:
            name = f"{origin.name}@{origin.distribution}@{origin.target}"
        try:
            self.manager.register(plugin, name)
        except (Exception, SystemExit) as error:
            if not self.manager.is_registered(plugin):
                self.broken.append(Broken(origin, reason_of(error), traceback_of(error)))
                return
            if self.manager.get_name(plugin) == name:
                self.manager.unregister(plugin)
                self.broken.append(Broken(origin, reason_of(error), traceback_of(error)))
            return
        self.origins[name] = origin
