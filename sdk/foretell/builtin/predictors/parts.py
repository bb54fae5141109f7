"""What users hand to a predictor: functions and objects, live or named by import strings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from foretell.abc.options import PredictorOptions
from foretell.abc.predictor import Predictor
from foretell.builtin.predictors import identity
from foretell.builtin.predictors.signatures import check_callable
from foretell.imports import load_object, module_file
from foretell.outputs import to_outputs
from foretell.types import Examples


class PartsPredictor(Predictor):
    """A predictor of a model with ``collate`` and ``postprocess``, each live or named.

    Args:
        options: Settings, with a ``checkpoint`` among them.
        model, collate, postprocess: Live objects instead of the import strings.

    Attributes:
        options: The settings.
        parts: What the user hands over.
    """

    options: Any

    def __init__(
        self,
        options: Any,
        *,
        model: Any = None,
        collate: Callable[[Any], Any] | None = None,
        postprocess: Callable[[Any], Any] | None = None,
    ) -> None:
        self.options = options
        live = {"model": model, "collate": collate, "postprocess": postprocess}
        self.parts = self._parts_of(live)
        self._check()

    @classmethod
    def from_live(
        cls,
        options: Any,
        *,
        model: Any = None,
        collate: Callable[[Any], Any] | None = None,
        postprocess: Callable[[Any], Any] | None = None,
    ) -> Self:
        """Build the predictor around a live model, or live helpers of it."""
        return cls(options, model=model, collate=collate, postprocess=postprocess)

    def _parts_of(self, live: Mapping[str, Any]) -> UserParts:
        return UserParts(self.options, live)

    def _check(self) -> None:
        """Refuse wrong settings and missing files, before anything is imported."""

    @property
    def checkpoint(self) -> str | None:
        """Absolute path (or URL) of the checkpoint."""
        given = self.options.checkpoint
        return None if given is None else self.options.resolve(given)

    def collate(self, examples: Examples) -> Any:
        """The user's ``collate``; without one the examples as they are."""
        function = self.parts.get("collate")
        return examples if function is None else function(examples)

    def postprocess(self, predictions: Any) -> Mapping[str, Any]:
        """Outputs by name, of what the user's ``postprocess`` gives if there is one."""
        function = self.parts.get("postprocess")
        return to_outputs(predictions if function is None else function(predictions))


class UserParts:
    """The parts of one predictor (``model``, ``collate`` …). A live one hides its import string.

    Args:
        options: Settings; each part is a field of theirs with an import string or None.
        live: Part to live object, None where there is none; every part is named.
        check: Called with what was imported and its import string; raises what is wrong with it.
    """

    def __init__(
        self,
        options: PredictorOptions,
        live: Mapping[str, Any],
        check: Callable[[Any, str], None] = check_callable,
    ) -> None:
        self._options = options
        self._live = dict(live)
        self._check = check
        self._imported: dict[str, Any] = {}

    def find(self) -> None:
        """Look whether the modules that are named are there; nothing is imported.

        Raises:
            ConfigError: a text is no import string.
            LoadError: a module does not exist.
        """
        for part in self._live:
            text = self.import_string(part)
            if text is not None:
                module_file(text, self._options.base_dir)

    def given(self, part: str) -> bool:
        """Whether a part is there, live or named."""
        return self._live[part] is not None or getattr(self._options, part) is not None

    def live(self, part: str) -> Any:
        """A live part, or None."""
        return self._live[part]

    def import_string(self, part: str) -> str | None:
        """What names a part; None for a live one and for none."""
        if self._live[part] is not None:
            return None
        text: str | None = getattr(self._options, part)
        return text

    def name(self, part: str) -> str:
        """What a part is called in messages."""
        return self.import_string(part) or identity.name_of(self._live[part])

    def get(self, part: str) -> Any:
        """A part: live, or imported the first time it is wanted; None where there is none."""
        text = self.import_string(part)
        if text is None:
            return self._live[part]
        if part not in self._imported:
            found = load_object(text, self._options.base_dir)
            self._check(found, text)
            self._imported[part] = found
        return self._imported[part]

    def fingerprint(self, *parts: str) -> dict[str, str]:
        """Source files of what is named, state of what is live; all parts when none is named.

        Raises:
            ConfigError: a live object cannot be hashed, and there is no version to vouch for it.
        """
        found: dict[str, str] = {}
        for part in parts or self._live:
            text = self.import_string(part)
            if text is not None:
                found |= identity.named(part, text, module_file(text, self._options.base_dir))
            elif self._live[part] is not None:
                found[part] = identity.live(self._live[part], part, self._options.version)
        return found
