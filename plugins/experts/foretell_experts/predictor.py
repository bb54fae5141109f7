"""``kind = "experts"``: named torch modules, a router, and what they say combined by weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from foretell.abc import Predictor
from foretell.digest import hash_file, hash_json
from foretell.errors import ConfigError, LoadError
from foretell.imports import load_object, module_file
from foretell.outputs import to_outputs
from foretell.types import Batch, Examples

from foretell_experts.settings import ExpertSettings, ExpertsOptions, RouterSettings

if TYPE_CHECKING:
    from foretell_experts.router import Router


class ExpertsPredictor(Predictor):
    """A mixture of experts. The router runs beside the chunk, the experts where they were placed.

    Args:
        options: Settings.

    Raises:
        ConfigError: there are no experts, two have one name, or ``k_min`` asks for too many.
        LoadError: a module or checkpoint does not exist.
    """

    Options = ExpertsOptions
    model_kind: ClassVar[str] = "experts"
    default_deployer: ClassVar[str] = "experts"

    def __init__(self, options: ExpertsOptions) -> None:
        self.options = options
        _check(options)
        for _, settings in self._parts():
            module_file(settings.model, options.base_dir)
            self.checkpoint_of(settings)
        for text in (options.collate, options.postprocess):
            if text is not None:
                module_file(text, options.base_dir)

    @property
    def names(self) -> tuple[str, ...]:
        """The experts' names; their places are their numbers."""
        return tuple(expert.name for expert in self.options.experts)

    def checkpoint_of(self, settings: ExpertSettings | RouterSettings) -> Path | None:
        """Where the weights of a part are.

        Raises:
            LoadError: there is no such file.
        """
        if settings.checkpoint is None:
            return None
        path = Path(self.options.resolve(settings.checkpoint))
        if not path.is_file():
            raise LoadError(
                f"there is no checkpoint {settings.checkpoint!r}",
                facts=[("of", settings.model), ("looked at", str(path))],
                slug="load-checkpoint",
            )
        return path

    def memory_of(self, settings: ExpertSettings) -> int:
        """Bytes an expert is expected to hold."""
        if settings.memory is not None:
            return settings.memory
        path = self.checkpoint_of(settings)
        return 0 if path is None else path.stat().st_size

    def load(self) -> Router:
        """The router, ready to choose. Experts are loaded where they are placed."""
        from foretell_experts.router import make_router

        return make_router(
            self.options.router,
            self.names,
            None if self.options.router is None else self.checkpoint_of(self.options.router),
            self.options.base_dir,
        )

    def collate(self, examples: Examples) -> Any:
        return examples if self._collate is None else self._collate(examples)

    def predict(self, model: Callable[[Batch], Any], batch: Batch) -> Any:
        """Ask a mixture, which a deployment makes of the router and the experts."""
        return model(batch)

    def postprocess(self, predictions: Any) -> Mapping[str, Any]:
        if self._postprocess is None:
            return to_outputs(predictions)
        named: Mapping[str, Any] = self._postprocess(predictions)
        return named

    @cached_property
    def _collate(self) -> Callable[[Any], Any] | None:
        return self._function(self.options.collate)

    @cached_property
    def _postprocess(self) -> Callable[[Any], Any] | None:
        return self._function(self.options.postprocess)

    def _function(self, text: str | None) -> Callable[[Any], Any] | None:
        found = None if text is None else load_object(text, self.options.base_dir)
        if found is not None and not callable(found):
            raise LoadError(f"{text} is not callable", facts=[("got", type(found).__name__)])
        return found

    def fingerprint(self) -> Mapping[str, str]:
        """Source file, options and weights of every expert and of the router; the settings."""
        options = self.options
        parts: dict[str, str] = {}
        for name, settings in self._parts():
            parts |= self._identity(name, settings)
        for name, text in (("collate", options.collate), ("postprocess", options.postprocess)):
            if text is not None:
                parts |= _source(name, text, module_file(text, options.base_dir))
        parts["experts"] = ",".join(self.names)
        for name in ("k_min", "timeout", "timeout_after_k_min", "version"):
            value = getattr(options, name)
            if value is not None:
                parts[name] = str(value)
        return parts

    def _parts(self) -> Sequence[tuple[str, ExpertSettings | RouterSettings]]:
        found: list[tuple[str, ExpertSettings | RouterSettings]] = [
            (f"experts.{expert.name}", expert) for expert in self.options.experts
        ]
        if self.options.router is not None:
            found.append(("router", self.options.router))
        return found

    def _identity(self, name: str, settings: ExpertSettings | RouterSettings) -> dict[str, str]:
        file = module_file(settings.model, self.options.base_dir)
        kind = "gate" if isinstance(settings, RouterSettings) and settings.gate else "model"
        parts = _source(name, f"{settings.model} ({kind})", file)
        parts[f"{name}.options"] = hash_json(settings.options)
        if isinstance(settings, RouterSettings):
            parts[f"{name}.top_k"] = str(settings.top_k)
        checkpoint = self.checkpoint_of(settings)
        if checkpoint is not None:
            parts[f"{name}.checkpoint"] = hash_file(checkpoint)
        return parts


def _source(name: str, text: str, file: Path | None) -> dict[str, str]:
    parts = {name: text}
    if file is not None:
        parts[f"{name}.source"] = hash_file(file)
    return parts


def _check(options: ExpertsOptions) -> None:
    names = [expert.name for expert in options.experts]
    if not names:
        raise ConfigError(
            "the job names no experts",
            facts=[("missing", "predictor.experts")],
            tries=[
                ('[[predictor.experts]] name = "first", model = "model.py:Net"', "one for each")
            ],
            slug="config-experts",
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"two experts are called {twice[0]!r}",
            facts=[("experts", ", ".join(names))],
            slug="config-experts",
        )
    for name in ("model", "checkpoint"):
        if getattr(options, name) is not None:
            raise ConfigError(
                f"a mixture has no single {name}",
                facts=[("got", f"predictor.{name} = {getattr(options, name)!r}")],
                tries=[(f"[[predictor.experts]] {name} = …", "for each expert")],
                slug="config-experts",
            )
    most = len(names)
    for label, value in (("k_min", options.k_min), ("router.top_k", _top_k(options))):
        if value is not None and value > most:
            raise ConfigError(
                f"predictor.{label} asks for more experts than there are",
                facts=[(label, str(value)), ("experts", str(most))],
                slug="config-experts",
            )


def _top_k(options: ExpertsOptions) -> int | None:
    return None if options.router is None else options.router.top_k
