"""``kind = "torch"``: any ``torch.nn.Module``.

``model`` is an import string (or a live object) that gives the module:

* a **class** derived from ``nn.Module``, or a **function** that returns a module, is called once
  per worker process with ``options`` as keyword arguments;
* a **module** is used as it is and takes no options.

Weights come from ``checkpoint``, unless the class or function has a parameter of that name: then it
is given the path and loads them itself.

The module is called with the collated batch: a mapping as keyword arguments, a tuple as positional
ones, anything else as the one argument. Parameters of its ``forward`` that are called ``rows``,
``mask`` or ``keys`` are given the rows' global indices, which of them are real, and their random
keys, as tensors on the module's device.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from foretell.builtin.predictors import identity
from foretell.builtin.predictors.parts import PartsPredictor
from foretell.builtin.predictors.signatures import parameters_of
from foretell.errors import ConfigError, ForetellError, LoadError
from foretell.frameworks import version
from foretell.types import Batch, Examples

from foretell_torch import frameworks, weights
from foretell_torch.batches import default_collate
from foretell_torch.settings import TorchOptions

OF_THE_BATCH = ("rows", "mask", "keys")


class TorchPredictor(PartsPredictor):
    """Calls a PyTorch module for every batch.

    Args:
        options: Settings; ``model``, ``collate`` and ``postprocess`` in them are import strings.
        model: A live module, class or function that is used instead of ``options.model``. A live
            module is copied, so that yours keeps its mode, device and dtype.
        collate: A live function instead of ``options.collate``.
        postprocess: A live function instead of ``options.postprocess``.

    Raises:
        ConfigError: no model is named, or an import string is malformed.
        LoadError: PyTorch, a module or a checkpoint does not exist.
    """

    Options = TorchOptions
    model_kind: ClassVar[str] = "torch"
    default_deployer: ClassVar[str] = "torch"
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    """Distributions whose version is part of the fingerprint."""

    options: TorchOptions

    def _check(self) -> None:
        options = self.options
        if not self.parts.given("model"):
            raise ConfigError(
                "the job names no model",
                facts=[("missing", "predictor.model")],
                tries=[('model = "module:build"', "a class or function that gives the module")],
                slug="config-model",
            )
        for package in self.packages:
            _check_installed(package)
        self.parts.find()
        identity.check_checkpoint(self.checkpoint, options.checkpoint)

    @classmethod
    def recognises(cls, model: object) -> bool:
        """Any live module, but for LightningModules, which have a predictor of their own."""
        return frameworks.is_module(model) and not frameworks.is_lightning_module(model)

    # --- the model ------------------------------------------------------------------------------

    def load(self) -> Any:
        """Import or make the module, give it its weights, and put it into evaluation mode.

        Returns:
            A ``torch.nn.Module`` on the CPU, no parameter of which wants a gradient.
        """
        frameworks.torch()
        self.parts.get("collate")
        self.parts.get("postprocess")
        module = self._make(self.parts.get("model"))
        if not frameworks.is_module(module):
            raise LoadError(
                f"{self._name()} gives no torch.nn.Module",
                facts=[("got", type(module).__name__)],
                slug="load-model",
            )
        self.check(module)
        module.eval()
        module.requires_grad_(False)
        return module

    def check(self, module: Any) -> None:
        """Refuse a module of the wrong kind; any will do here."""

    def _make(self, target: Any) -> Any:
        given = dict(self.options.options)
        if not isinstance(target, type) and frameworks.is_module(target):
            if given:
                raise ConfigError(
                    f"{self._name()} is a module already and takes no options",
                    facts=[("options", ", ".join(given))],
                    slug="config-options",
                )
            module = copy.deepcopy(target)
            self._load_weights(module)
            return module
        if not callable(target):
            raise LoadError(
                f"{self._name()} is no module, class or function",
                facts=[("got", f"{type(target).__name__} {target!r:.60}")],
                slug="load-model",
            )
        takes_checkpoint = "checkpoint" in parameters_of(target)
        if takes_checkpoint and self.checkpoint is not None:
            given.setdefault("checkpoint", self.checkpoint)
        module = self._call(target, given)
        if not takes_checkpoint and frameworks.is_module(module):
            self._load_weights(module)
        return module

    def _call(self, target: Any, given: Mapping[str, Any]) -> Any:
        try:
            return target(**given)
        except ForetellError:
            raise
        except Exception as error:
            raise LoadError(
                f"{self._name()} could not be made",
                facts=[
                    ("called with", ", ".join(f"{k}={v!r}" for k, v in given.items()) or "nothing"),
                    ("cause", f"{type(error).__name__}: {error}"),
                ],
                slug="load-model",
            ) from error

    def _load_weights(self, module: Any) -> None:
        if self.checkpoint is not None:
            self._fill(module, weights.read_checkpoint(self.checkpoint))

    def _fill(self, module: Any, content: Any) -> None:
        options, path = self.options, str(self.checkpoint)
        found = weights.state_dict_in(content, path, options.state_dict_key, options.strip_prefix)
        weights.load_into(module, found, path, strict=options.strict)

    def _name(self) -> str:
        return self.parts.name("model")

    # --- a batch --------------------------------------------------------------------------------

    def collate(self, examples: Examples) -> Any:
        """The user's ``collate``, or arrays as they are and records stacked key by key."""
        function = self.parts.get("collate")
        return default_collate(examples) if function is None else function(examples)

    def predict(self, model: Any, batch: Batch) -> Any:
        """Call the module; the deployment has brought the inputs to its device."""
        wanted = _wanted(type(model))
        extra = _of_the_batch(model, batch, wanted) if wanted else {}
        inputs = batch.inputs
        if isinstance(inputs, Mapping):
            return model(**inputs, **extra)
        if isinstance(inputs, tuple):
            return model(*inputs, **extra)
        return model(inputs, **extra)

    def started(self, model: Any) -> None:
        """Called once by the deployment, the module on its device, before the first batch."""

    def ended(self, model: Any) -> None:
        """Called once by the deployment, after the last batch."""

    # --- identity -------------------------------------------------------------------------------

    def fingerprint(self) -> Mapping[str, str]:
        """Source files of what is named, state of what is live, settings, weights, versions."""
        options = self.options
        parts = self.parts.fingerprint()
        parts |= identity.settings(options.options, factory=False)
        if self.checkpoint is not None:
            parts["checkpoint"] = identity.checkpoint(self.checkpoint, options.version)
        if options.version is not None:
            parts["version"] = options.version
        return parts | {package: version(package) for package in self.packages}


def _check_installed(package: str) -> None:
    """Notice a missing framework in the driver, before any worker starts."""
    if importlib.util.find_spec(package) is None:
        raise LoadError(
            f"{package} is not installed",
            tries=[(f"pip install 'foretell[{package}]'", "brings it")],
            slug="load-framework",
        )


_WANTED: dict[type, tuple[str, ...]] = {}


def _wanted(kind: type) -> tuple[str, ...]:
    """Which parts of the batch a module's ``forward`` takes beside its inputs."""
    if kind not in _WANTED:
        names = list(parameters_of(getattr(kind, "forward", kind)))[2:]
        _WANTED[kind] = tuple(name for name in OF_THE_BATCH if name in names)
    return _WANTED[kind]


def _of_the_batch(model: Any, batch: Batch, wanted: Sequence[str]) -> dict[str, Any]:
    """Rows int64 ``(B,)``, mask bool ``(B,)``, keys int64 ``(B, 2)``, on the module's device."""
    torch = frameworks.torch()
    first = next(iter(model.parameters()), None)
    device = torch.device("cpu") if first is None else first.device
    arrays = {"rows": batch.rows, "mask": batch.mask, "keys": batch.keys.astype(np.int64)}
    return {name: torch.as_tensor(arrays[name]).to(device) for name in wanted}
