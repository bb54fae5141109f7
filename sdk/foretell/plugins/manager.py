"""The typed façade over the plugins: callers never touch the untyped relay."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from foretell.plugins.discovery import Broken, Discovery, Origin
from foretell.plugins.observers import Observers, Report
from foretell.plugins.registry import Claim, Registry, checked, load_target
from foretell.types import Entry

if TYPE_CHECKING:
    import pluggy
    from pydantic import BaseModel

    from foretell.abc import Deployer, Predictor, Source, Writer
    from foretell.store.snapshot import Snapshot

ROLES = {
    "source": "register_sources",
    "predictor": "register_predictors",
    "deployer": "register_deployers",
    "writer": "register_writers",
    "preview": "register_previews",
    "command": "register_commands",
}
"""What a plugin can register, and the hook that asks for it."""


class Plugins:
    """Everything that is registered. Made by :func:`load_plugins`."""

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery
        self._registries = {role: Registry(role, hook, discovery) for role, hook in ROLES.items()}

    # --- listing: imports the plugins' light modules only ------------------------------------

    def sources(self) -> list[Entry]:
        """Every registered source."""
        return self._entries("source")

    def predictors(self) -> list[Entry]:
        """Every registered predictor."""
        return self._entries("predictor")

    def deployers(self) -> list[Entry]:
        """Every registered deployer."""
        return self._entries("deployer")

    def writers(self) -> list[Entry]:
        """Every registered writer."""
        return self._entries("writer")

    def previews(self) -> list[Entry]:
        """Every registered preview, strangers before built-ins."""
        claims = sorted(self.claims("preview"), key=lambda claim: claim.builtin)
        return [claim.entry for claim in claims]

    def commands(self) -> list[Entry]:
        """Every registered command."""
        return self._entries("command")

    def claims(self, role: str) -> list[Claim]:
        """Every entry of a role of :data:`ROLES` and who registered it."""
        return list(self._registries[role].claims())

    def origins(self) -> list[Origin]:
        """Every plugin that registered."""
        return list(self._discovery.origins.values())

    def broken(self) -> list[Broken]:
        """What could not be registered, over all roles."""
        for registry in self._registries.values():
            registry.claims()
        return list(self._discovery.broken)

    @property
    def manager(self) -> pluggy.PluginManager:
        """The pluggy manager, for plugins that specify hooks of their own."""
        return self._discovery.manager

    def register(self, plugin: object, name: str) -> None:
        """Add a live plugin, an observer given to the Python API for instance."""
        self._discovery.add(Origin(name, "this process", type(plugin).__name__), plugin)
        for role, hook in ROLES.items():
            self._registries[role] = Registry(role, hook, self._discovery)

    # --- selecting: imports the one that is asked for ----------------------------------------

    def source(self, kind: str) -> type[Source]:
        """The source class called ``kind``.

        Raises:
            UnknownPlugin: there is none; knows the registered names and a near one.
            PluginError: two distributions claim the name, or it cannot be imported.
        """

        def wanted() -> type[Any]:
            from foretell.abc import Source

            return Source

        found: type[Source] = self._select("source", kind, wanted)
        return found

    def predictor(self, kind: str) -> type[Predictor]:
        """The predictor class called ``kind``; raises as :meth:`source`."""

        def wanted() -> type[Any]:
            from foretell.abc import Predictor

            return Predictor

        found: type[Predictor] = self._select("predictor", kind, wanted)
        return found

    def deployer(self, kind: str) -> type[Deployer]:
        """The deployer class called ``kind``; raises as :meth:`source`."""

        def wanted() -> type[Any]:
            from foretell.abc import Deployer

            return Deployer

        found: type[Deployer] = self._select("deployer", kind, wanted)
        return found

    def writer(self, kind: str) -> type[Writer]:
        """The writer class called ``kind``; raises as :meth:`source`."""

        def wanted() -> type[Any]:
            from foretell.abc import Writer

            return Writer

        found: type[Writer] = self._select("writer", kind, wanted)
        return found

    def writer_of(self, snapshot: Snapshot) -> Writer:
        """The writer that wrote a run's outputs, opened for reading; raises as :meth:`source`."""
        section: dict[str, Any] = snapshot.manifest.job["writer"]
        cls = self.writer(section["kind"])
        options = cls.Options.model_validate(section).at(snapshot.manifest.base_dir)
        writer = cls(options, snapshot.objects)
        writer.open(snapshot.plan.writer_plan())
        return writer

    def command(self, name: str) -> Any:
        """The click command called ``name``; raises as :meth:`source`."""
        return self._registries["command"].load(name)

    def preview(self, entry: Entry) -> Callable[..., Any]:
        """The callable of one of :meth:`previews`."""
        claim = next(claim for claim in self.claims("preview") if claim.entry is entry)
        found: Callable[..., Any] = load_target("preview", claim)
        return found

    def deployers_for(self, model_kind: str) -> list[str]:
        """Names of the deployers that accept a kind of model; imports every one that can be."""
        fitting = []
        for name in self._registries["deployer"].names():
            try:
                accepts = self.deployer(name).accepts
            except Exception:
                continue
            if model_kind in accepts:
                fitting.append(name)
        return fitting

    def _entries(self, role: str) -> list[Entry]:
        return [claim.entry for claim in self._registries[role].claims()]

    def _select(self, role: str, kind: str, wanted: Callable[[], type[Any]]) -> Any:
        registry = self._registries[role]
        claim = registry.claim(kind)
        return checked(wanted, role, claim, load_target(role, claim))

    # --- settings ----------------------------------------------------------------------------

    def resolve(self, section: str, kind: str) -> type[BaseModel]:
        """The settings class of a section's kind: what ``load_job`` asks for."""
        select: dict[str, Callable[[str], Any]] = {
            "source": self.source,
            "predictor": self.predictor,
            "deployer": self.deployer,
            "writer": self.writer,
        }
        options: type[BaseModel] = select[section](kind).Options
        return options

    def default_deployer(self, predictor_kind: str) -> str:
        """The deployer a predictor wants when the job names none."""
        return self.predictor(predictor_kind).default_deployer

    # --- observing ---------------------------------------------------------------------------

    def observers(self, report: Report) -> Observers:
        """Everyone who observes runs, isolated from the run and from each other."""
        return Observers(self._discovery, report)


def load_plugins(
    env: Mapping[str, str] | None = None, extra: Sequence[tuple[str, object]] = ()
) -> Plugins:
    """Find every plugin: built-ins, then the entry points, unless ``env`` switches those off.

    Args:
        env: The environment; ``FORETELL_DISABLE_PLUGINS=1`` in it loads built-ins alone.
        extra: (name, object) pairs of live plugins to add.
    """
    discovery = Discovery()
    discovery.add_builtin()
    discovery.add_entry_points(os.environ if env is None else env)
    for name, plugin in extra:
        discovery.add(Origin(name, "this process", type(plugin).__name__), plugin)
    return Plugins(discovery)
