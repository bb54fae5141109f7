"""``kind = "jax"``: a function of parameters and a batch, or a flax module."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from foretell.builtin.predictors.parts import PartsPredictor, UserParts
from foretell.digest import hash_json, hash_path
from foretell.errors import ConfigError, LoadError
from foretell.types import Batch

from foretell_jax.needs import need
from foretell_jax.options import JaxOptions

if TYPE_CHECKING:
    from foretell_jax.parameters import Parameters


@dataclass(frozen=True, slots=True)
class JaxModel:
    """What a JAX predictor loads.

    Attributes:
        call: ``call(rng, params, batch, mask)``.
        parameters: Where the parameters come from.
        params: The parameters themselves, once a deployer has placed (or traced) them.
    """

    call: Callable[[Any, Any, Any, Any], Any]
    parameters: Parameters
    params: Any = None

    def bound(self, params: Any) -> JaxModel:
        """The model with its parameters."""
        return replace(self, params=params)


class JaxPredictor(PartsPredictor):
    """Calls ``pred_fn(rng, params, batch)`` or ``pred_fn(params, batch)``, traced and compiled.

    ``predict`` is called while JAX traces, with the parameters and the batch as tracers. A
    function that uses its ``rng`` is mapped over the rows, see :mod:`foretell_jax.randomness`.

    Args:
        options: Settings; ``model``, ``params``, ``collate`` and ``postprocess`` in them are
            import strings.
        model: A live function or module, or a pair of it and its parameters.
        collate, postprocess: Live functions instead of the import strings.

    Raises:
        ConfigError: no model is named, or two places for its parameters.
        LoadError: a module or checkpoint does not exist.
    """

    Options = JaxOptions
    model_kind: ClassVar[str] = "jax"
    default_deployer: ClassVar[str] = "jax"

    options: JaxOptions

    def _parts_of(self, live: Mapping[str, Any]) -> UserParts:
        model = live["model"]
        model, params = model if isinstance(model, tuple) else (model, None)
        return UserParts(self.options, {**live, "model": model, "params": params}, check=_anything)

    @classmethod
    def recognises(cls, model: object) -> bool:
        """A flax module, or a pair of a function or module and its parameters."""
        if isinstance(model, tuple):
            return len(model) == 2 and callable(model[0])
        return any(
            kind.__name__ == "Module" and kind.__module__.startswith("flax.")
            for kind in type(model).__mro__
        )

    def _check(self) -> None:
        options = self.options
        if not self.parts.given("model"):
            raise ConfigError(
                "the job names no model",
                facts=[("missing", "predictor.model")],
                tries=[('model = "module:pred_fn"', "a function of params and a batch")],
                slug="config-model",
            )
        sources = [
            name
            for name, given in (
                ("checkpoint", options.checkpoint),
                ("params", options.params),
                ("live parameters", self.parts.live("params")),
            )
            if given is not None
        ]
        if len(sources) > 1:
            raise ConfigError(
                "the parameters come from two places",
                facts=[("got", " and ".join(sources)), ("expected", "one of them")],
                slug="config-params",
            )
        self.parts.find()
        if options.checkpoint is not None and "://" in options.checkpoint:
            raise ConfigError(
                "a checkpoint of a JAX model is a local file or folder",
                facts=[("checkpoint", options.checkpoint)],
                slug="config-checkpoint",
            )
        if self.checkpoint is not None and not os.path.exists(self.checkpoint):
            raise LoadError(
                f"there is no checkpoint {options.checkpoint!r}",
                facts=[("looked at", self.checkpoint)],
                slug="load-checkpoint",
            )

    def load(self) -> JaxModel:
        """Import the model and open its parameters; values are read by the deployer, in place.

        Raises:
            LoadError: a library is missing, the checkpoint unreadable, or the user's code raises.
        """
        need("jax", "predictor.kind = 'jax'")
        from foretell_jax.functions import as_call, own_parameters
        from foretell_jax.parameters import InMemory, from_function, open_parameters

        self.parts.get("collate")
        self.parts.get("postprocess")
        name = self.options.model or "the model"
        model, params = self._model(name), self.parts.live("params")
        if isinstance(model, tuple):
            model, params = model
        own = own_parameters(model)
        parameters: Parameters
        if self.checkpoint is not None:
            parameters = open_parameters(Path(self.checkpoint), self.options.format)
        elif self.options.params is not None:
            parameters = from_function(
                self.parts.get("params"), self.options.options, self.options.seed
            )
        else:
            parameters = InMemory(params if params is not None else own if own is not None else {})
        return JaxModel(as_call(model, name), parameters)

    def _model(self, name: str) -> Any:
        """The function or module itself, made by its class or factory where it has one."""
        target = self.parts.get("model")
        options = self.options.options
        if self.options.factory or isinstance(target, type):
            try:
                return target(**options)
            except TypeError as error:
                raise ConfigError(
                    f"{name} cannot be called with the job's options",
                    facts=[("options", ", ".join(options) or "none"), ("cause", str(error))],
                    slug="config-options",
                ) from error
        _check_options(options, target, self.parts.get("params"))
        taken = _taken(target, options)
        return functools.partial(target, **taken) if taken else target

    def predict(self, model: JaxModel, batch: Batch) -> Any:
        from foretell_jax.randomness import apply

        return apply(model.call, batch.keys, model.params, batch.inputs, batch.mask)

    def fingerprint(self) -> Mapping[str, str]:
        """Source files of what is named, state of what is live, settings, weights, JAX itself."""
        options = self.options
        parts = self.parts.fingerprint()
        if options.factory:
            parts["factory"] = "true"
        parts["options"] = hash_json(options.options)
        if self.checkpoint is not None:
            parts["checkpoint"] = _hashed(self.checkpoint)
        if options.version is not None:
            parts["version"] = options.version
        return parts | _jax_versions()


def _taken(target: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that a function has a parameter for."""
    if not options or not callable(target):
        return {}
    names = inspect.signature(target).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in names.values())
    return {key: value for key, value in options.items() if anything or key in names}


def _check_options(options: Mapping[str, Any], *targets: Any) -> None:
    """Refuse options that neither the model nor what makes its parameters takes.

    Raises:
        ConfigError: naming them.
    """
    taken = {key for target in targets for key in _taken(target, options)}
    left = [key for key in options if key not in taken]
    if left:
        functions = [target for target in targets if callable(target)]
        raise ConfigError(
            "the job has options that its model does not take",
            facts=[
                ("options", ", ".join(left)),
                ("signatures", "\n".join(str(inspect.signature(f)) for f in functions)),
            ],
            slug="config-options",
        )


def _anything(found: Any, text: str) -> None:
    """Parts may be modules and trees of parameters: what loads them says what is wrong."""


def _hashed(path: str) -> str:
    try:
        return hash_path(path)
    except OSError as error:
        raise LoadError(
            "the checkpoint cannot be read", facts=[("file", path), ("cause", str(error))]
        ) from error


def _jax_versions() -> dict[str, str]:
    """The version of what computes, read from its metadata so that JAX stays unimported."""
    try:
        return {"jax": importlib.metadata.version("jax")}
    except importlib.metadata.PackageNotFoundError:
        return {}
