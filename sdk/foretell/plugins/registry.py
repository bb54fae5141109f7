"""What the registered plugins offer: names listed without importing, one loaded when selected."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from foretell.config.suggest import nearest
from foretell.errors import Fact, ForetellError, PluginError, UnknownPlugin
from foretell.plugins.discovery import (
    BUILTIN,
    Broken,
    Discovery,
    Origin,
    quiet_stdout,
    reason_of,
    traceback_of,
)
from foretell.types import Entry

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry and who registered it."""

    entry: Entry
    origin: Origin

    @property
    def builtin(self) -> bool:
        """Whether it comes with Foretell's core."""
        return self.origin.name == BUILTIN


class Registry:
    """All entries of one role (``source``, ``predictor`` …).

    Args:
        role: What its entries are, for messages.
        hook: The hook that collects them.
        discovery: Who is registered.
    """

    def __init__(self, role: str, hook: str, discovery: Discovery) -> None:
        self.role = role
        self._hook = hook
        self._discovery = discovery
        self._claims: list[Claim] | None = None

    def claims(self) -> list[Claim]:
        """Every valid entry of every plugin, built-ins first. Asked for once."""
        if self._claims is None:
            found = [claim for name in self._discovery.origins for claim in self._ask(name)]
            self._claims = sorted(found, key=lambda claim: not claim.builtin)
        return self._claims

    def names(self) -> list[str]:
        """The names, each once, sorted."""
        return sorted({claim.entry.name for claim in self.claims()})

    def claim(self, name: str) -> Claim:
        """The one entry called ``name``.

        Raises:
            UnknownPlugin: nobody registered it.
            PluginError: several did.
        """
        found = [claim for claim in self.claims() if claim.entry.name == name]
        if not found:
            raise UnknownPlugin(self.role, name, self.names(), nearest(name, self.names()))
        if len(found) > 1:
            raise _contested(self.role, found)
        return found[0]

    def load(self, name: str) -> Any:
        """Import what ``name`` stands for.

        Raises:
            UnknownPlugin, PluginError: see :meth:`claim`; or it cannot be imported.
        """
        return load_target(self.role, self.claim(name))

    def _ask(self, plugin_name: str) -> list[Claim]:
        """The entries of one plugin, by a call of its own, so that one cannot spoil the others."""
        discovery, manager = self._discovery, self._discovery.manager
        others = [p for name, p in manager.list_name_plugin() if name != plugin_name]
        origin = discovery.origins[plugin_name]
        try:
            with quiet_stdout():
                answers = manager.subset_hook_caller(self._hook, others)()
                entries = [entry for answer in answers for entry in answer]
        except (Exception, SystemExit) as error:
            text = f"{self._hook} raised {reason_of(error)}"
            discovery.broken.append(Broken(origin, text, traceback_of(error)))
            return []
        return list(self._valid(entries, origin))

    def _valid(self, entries: Iterable[Any], origin: Origin) -> Iterable[Claim]:
        for entry in entries:
            reason = _wrong_with(entry)
            if reason is None:
                yield Claim(entry, origin)
            else:
                self._discovery.broken.append(Broken(origin, f"{self._hook}: {reason}"))


def _wrong_with(entry: Any) -> str | None:
    if not isinstance(entry, Entry):
        return f"returned {type(entry).__name__}, not an Entry"
    if not isinstance(entry.name, str) or not _NAME.fullmatch(entry.name):
        return f"{entry.name!r} cannot be a name: lower-case letters, digits, - and _"
    if not isinstance(entry.target, str) or not _TARGET.fullmatch(entry.target):
        return f"{entry.target!r} is not an import string package.module:attribute"
    return None


def _contested(role: str, claims: list[Claim]) -> PluginError:
    return PluginError(
        f'two plugins claim the {role} "{claims[0].entry.name}"',
        facts=[("claimed by", str(claim.origin)) for claim in claims],
        tries=[("pip uninstall one of them", ""), ("FORETELL_DISABLE_PLUGINS=1", "built-ins only")],
        slug="plugin-contested",
    )


def load_target(role: str, claim: Claim) -> Any:
    """Import the object a claim names.

    Raises:
        PluginError: it cannot be imported, naming the plugin and the extra that may be missing.
    """
    module, _, attribute = claim.entry.target.partition(":")
    try:
        with quiet_stdout():
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
    except ForetellError:
        raise
    except (Exception, SystemExit) as error:
        raise _unloadable(role, claim, error) from error
    return found


def _unloadable(role: str, claim: Claim, error: BaseException) -> PluginError:
    tries: list[Fact] = []
    if isinstance(error, ImportError) and claim.entry.extra:
        home = claim.origin.distribution.partition(" ")[0]
        tries.append((f"pip install '{home}[{claim.entry.extra}]'", "brings what it needs"))
    return PluginError(
        f'the {role} "{claim.entry.name}" cannot be imported',
        facts=[
            ("plugin", str(claim.origin)),
            ("target", claim.entry.target),
            ("reason", reason_of(error)),
        ],
        tries=tries,
        slug="plugin-import",
    )


def checked(kind: Callable[[], type[Any]], role: str, claim: Claim, found: Any) -> Any:
    """``found`` if it is a subclass of what the role demands."""
    wanted = kind()
    if isinstance(found, type) and issubclass(found, wanted):
        return found
    raise PluginError(
        f'the {role} "{claim.entry.name}" is not a {wanted.__name__}',
        facts=[
            ("plugin", str(claim.origin)),
            ("target", claim.entry.target),
            ("got", getattr(found, "__name__", type(found).__name__)),
        ],
        slug="plugin-contract",
    )
