"""``kind = "callable"``: any function, or class with state, that takes a batch.

One rule says how ``model`` becomes what is called for every batch:

* a **class** is instantiated once per worker process with ``options`` (and ``checkpoint``, when it
  takes that) as keyword arguments; its instance is called;
* a **function** is called itself, with ``options`` (and ``checkpoint``, when it takes that) as
  further keyword arguments;
* with ``factory = true`` the function is called once per worker process, with the same keyword
  arguments, and what it returns is called.

The call gets the collated batch as its one positional argument: filler rows included, always the
same number of rows. Parameters of it that are called ``rows``, ``mask`` or ``keys`` are given the
rows' global indices, which of them are real, and their random keys.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from foretell.abc.options import PredictorOptions
from foretell.builtin.predictors import identity, signatures
from foretell.builtin.predictors.parts import PartsPredictor
from foretell.errors import ConfigError, ForetellError, LoadError
from foretell.types import Batch


class CallableOptions(PredictorOptions):
    """``[predictor]`` with ``kind = "callable"``."""

    kind: str = Field(default="callable", description="callable")
    factory: bool = Field(
        default=False,
        description="Whether model is a function that returns the callable, called once per worker "
        "with options, instead of the callable itself.",
    )


@dataclass(frozen=True, slots=True)
class LoadedCallable:
    """What :meth:`CallablePredictor.load` returns: the callable and what it wants to know.

    Attributes:
        call: Takes the collated batch.
        wants: Which of ``rows``, ``mask`` and ``keys`` it takes as keyword arguments.
    """

    call: Callable[..., Any]
    wants: tuple[str, ...] = ()

    def __call__(self, batch: Batch) -> Any:
        """Run the callable on a batch."""
        extra = {name: getattr(batch, name) for name in self.wants}
        return self.call(batch.inputs, **extra)


class CallablePredictor(PartsPredictor):
    """Calls a function or object of the user's for every batch.

    The callable must be safe to call from several threads only when the deployer is given more
    than one slot.

    Args:
        options: Settings; ``model``, ``collate`` and ``postprocess`` in them are import strings.
        model: A live function, class or object that is used instead of ``options.model``.
        collate: A live function instead of ``options.collate``.
        postprocess: A live function instead of ``options.postprocess``.

    Raises:
        ConfigError: no model is named, or an import string is malformed.
        LoadError: a module or checkpoint does not exist.
    """

    Options = CallableOptions
    model_kind: ClassVar[str] = "callable"

    options: CallableOptions

    def _check(self) -> None:
        options = self.options
        if not self.parts.given("model"):
            raise ConfigError(
                "the job names no model",
                facts=[("missing", "predictor.model")],
                tries=[('model = "module:function"', "a function that takes a batch")],
                slug="config-model",
            )
        self.parts.find()
        identity.check_checkpoint(self.checkpoint, options.checkpoint)

    @classmethod
    def recognises(cls, model: object) -> bool:
        """Anything that can be called, classes included."""
        return callable(model)

    def load(self) -> LoadedCallable:
        """Import the model and, where it is a class or factory, make the callable."""
        self.parts.get("collate")
        self.parts.get("postprocess")
        target = self.parts.get("model")
        name = self.parts.name("model")
        once = isinstance(target, type) or self.options.factory
        given = signatures.arguments(target, name, self.options.options, self.checkpoint, once)
        if once:
            call = _make(target, name, given)
        else:
            call = functools.partial(target, **given) if given else target
        return LoadedCallable(call, signatures.wants(call, name))

    def predict(self, model: LoadedCallable, batch: Batch) -> Any:
        return model(batch)

    def fingerprint(self) -> Mapping[str, str]:
        """Source files of what is named, state of what is live, settings, weights, version."""
        options = self.options
        parts = self.parts.fingerprint()
        parts |= identity.settings(options.options, factory=options.factory)
        if self.checkpoint is not None:
            parts["checkpoint"] = identity.checkpoint(self.checkpoint, options.version)
        if options.version is not None:
            parts["version"] = options.version
        return parts


def _make(target: Any, name: str, given: Mapping[str, Any]) -> Any:
    """Instantiate a class or call a factory; the result must be callable.

    Raises:
        LoadError: with the cause.
    """
    try:
        made = target(**given)
    except ForetellError:
        raise
    except Exception as error:
        raise LoadError(
            f"{name} could not be made",
            facts=[
                ("called with", ", ".join(f"{key}={value!r}" for key, value in given.items())),
                ("cause", f"{type(error).__name__}: {error}"),
            ],
        ) from error
    signatures.check_callable(made, f"what {name} gives")
    return made
