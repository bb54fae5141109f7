"""A predictor says what happens to a batch: collate, predict, postprocess."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from foretell.abc.options import PredictorOptions
from foretell.errors import LoadError
from foretell.outputs import to_outputs
from foretell.types import Batch, Examples, OutputSpec


class Predictor(ABC):
    """What happens to a batch of examples.

    The driver builds a predictor from its options to take its fingerprint, and never calls
    :meth:`load`; so constructing one must not import the model's framework. Worker processes build
    their own and load the model once. Methods may be called from several threads at once (one per
    device slot).
    """

    Options: ClassVar[type[PredictorOptions]] = PredictorOptions
    """Settings class of the ``[predictor]`` section."""

    model_kind: ClassVar[str]
    """What :meth:`load` returns, matched against ``Deployer.accepts``: ``callable``, ``torch`` …"""

    default_deployer: ClassVar[str] = "local"
    """Kind of deployer used when the job names none."""

    supports_auto_batch_size: ClassVar[bool] = True
    """Whether ``batch_size = "auto"`` makes sense."""

    @classmethod
    def from_options(cls, options: Any) -> Predictor:
        """Build the predictor from its validated settings; ``cls(options)`` by default.

        Raises:
            LoadError: a file or module it names does not exist.
        """
        return cls(options)  # type: ignore[call-arg]

    @classmethod
    def recognises(cls, model: object) -> bool:
        """Whether ``foretell.predict(model=model)`` should use this kind. Must not import much."""
        return False

    @classmethod
    def from_live(
        cls,
        options: Any,
        *,
        model: Any = None,
        collate: Callable[[Any], Any] | None = None,
        postprocess: Callable[[Any], Any] | None = None,
    ) -> Predictor:
        """Build the predictor around live objects, each used instead of its import string.

        Raises:
            LoadError: this kind takes no live objects.
        """
        raise LoadError(
            f"predictor {options.kind!r} takes no live objects",
            facts=[("model", type(model).__name__)],
            tries=[('model="module:attribute"', "an import string")],
        )

    @abstractmethod
    def load(self) -> Any:
        """Load the model onto the host. Called once per worker process, in a task thread.

        Raises:
            LoadError: with the cause; anything else raised here is wrapped into one.
        """

    def collate(self, examples: Examples) -> Any:
        """Turn ``B`` examples into the model's inputs; the examples themselves by default.

        Args:
            examples: Exactly the plan's batch size of rows, filler included.

        Returns:
            Any nest of host arrays with ``B`` rows.

        Raises:
            Exception: some row cannot be collated; the engine searches for it by halving.
        """
        return examples

    @abstractmethod
    def predict(self, model: Any, batch: Batch) -> Any:
        """Run the model on one batch. Called by the deployment, perhaps traced or compiled.

        Returns:
            A nest of arrays (dict, tuple, dataclass or one array) with ``B`` rows each, in the
            order of the batch. Values of filler rows are ignored.
        """

    def postprocess(self, predictions: Any) -> Mapping[str, Any]:
        """Turn host predictions of real rows (filler already removed) into named outputs.

        Args:
            predictions: What ``predict`` returned, as host arrays, ``n <= B`` rows.

        Returns:
            Name to array or list, ``n`` rows each. Nested names use ``/``.
        """
        return to_outputs(predictions)

    def output_specs(self) -> Sequence[OutputSpec] | None:
        """The outputs when known beforehand; None to learn them from a dry batch."""
        return None

    @abstractmethod
    def fingerprint(self) -> Mapping[str, str]:
        """Named parts that identify weights, options and code, e.g. ``{"checkpoint": "sha256:…"}``.

        Raises:
            ConfigError: the model cannot be hashed and no ``version`` was given.
        """
