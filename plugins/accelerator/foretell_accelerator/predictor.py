"""``kind = "artifact"``: a program compiled ahead of time, or a model to be compiled.

With ``artifact`` the model's source is not needed: the program, ``collate`` and ``postprocess`` are
all. With ``model`` (a ``torch.nn.Module``, a class or function that gives one, or with
``jax-export`` a function of JAX arrays) it is compiled when it is deployed, or by ``sdk compile``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from foretell.builtin.predictors.identity import check_checkpoint
from foretell.builtin.predictors.parts import PartsPredictor
from foretell.builtin.predictors.signatures import parameters_of
from foretell.digest import hash_json, hash_path
from foretell.errors import ConfigError, ForetellError, LoadError
from foretell.types import Batch
from foretell_torch.frameworks import is_module
from foretell_torch.weights import load_checkpoint

from foretell_accelerator.manifest import read_manifest
from foretell_accelerator.settings import ArtifactOptions


class ArtifactPredictor(PartsPredictor):
    """Calls a compiled program for every batch.

    Args:
        options: Settings.
        model: A live module or function instead of ``options.model``.
        collate, postprocess: Live functions instead of the import strings.

    Raises:
        ConfigError: neither an artifact nor a model is named.
        ArtifactError: the artifact is missing or damaged.
        LoadError: a module or checkpoint does not exist.
    """

    Options = ArtifactOptions
    model_kind: ClassVar[str] = "artifact"
    default_deployer: ClassVar[str] = "accelerator"

    options: ArtifactOptions

    def _check(self) -> None:
        options = self.options
        if options.artifact is None and not self.has_model:
            raise ConfigError(
                "the job names neither an artifact nor a model",
                facts=[("missing", "predictor.artifact")],
                tries=[
                    ('artifact = "DIR"', "what sdk compile made"),
                    ('model = "module:build"', "a model to compile"),
                ],
                slug="config-model",
            )
        self.parts.find()
        check_checkpoint(self.checkpoint, options.checkpoint, remote=False)
        if self.artifact is not None:
            read_manifest(self.artifact)

    @property
    def artifact(self) -> str | None:
        """Absolute path of the artifact."""
        given = self.options.artifact
        return None if given is None else self.options.resolve(given)

    @property
    def has_model(self) -> bool:
        """Whether the model itself is there, beside or instead of an artifact."""
        return self.parts.given("model")

    # --- the model ------------------------------------------------------------------------------

    def load(self) -> Any:
        """Import or make the model, with its weights, in evaluation mode.

        Raises:
            LoadError: with the cause.
        """
        self.parts.get("collate")
        self.parts.get("postprocess")
        target = self.parts.get("model")
        if is_module(target):
            load_checkpoint(target, self.checkpoint)
            return target.eval()
        given = dict(self.options.options)
        if isinstance(target, type) or given or self.checkpoint is not None:
            return self._made(target, given)
        return target if _takes_inputs(target) else self._made(target, given)

    def _made(self, target: Any, given: dict[str, Any]) -> Any:
        takes = "checkpoint" in parameters_of(target)
        if takes and self.checkpoint is not None:
            given.setdefault("checkpoint", self.checkpoint)
        try:
            model = target(**given)
        except ForetellError:
            raise
        except Exception as error:
            raise LoadError(
                f"{self.options.model or 'the model'} could not be made",
                facts=[("cause", f"{type(error).__name__}: {error}")],
                slug="load-model",
            ) from error
        if not is_module(model):
            return model
        if not takes:
            load_checkpoint(model, self.checkpoint)
        return model.eval()

    # --- a batch --------------------------------------------------------------------------------

    def predict(self, model: Callable[[Any], Any], batch: Batch) -> Any:
        """Run the compiled program on the collated batch."""
        return model(batch.inputs)

    # --- identity -------------------------------------------------------------------------------

    def fingerprint(self) -> Mapping[str, str]:
        """The artifact's own hash, the model, the helpers."""
        parts = dict(self.model_fingerprint())
        if self.artifact is not None:
            parts["artifact"] = read_manifest(self.artifact).hash
        parts |= self.parts.fingerprint("collate", "postprocess")
        if self.options.version is not None:
            parts["version"] = self.options.version
        return parts

    def model_fingerprint(self) -> Mapping[str, str]:
        """Parts that identify the model, as the artifact's manifest has them; empty without one."""
        if not self.has_model:
            return {}
        options = self.options
        parts = self.parts.fingerprint("model") | {"options": hash_json(options.options)}
        if self.checkpoint is not None:
            parts["checkpoint"] = hash_path(self.checkpoint)
        if options.version is not None:
            parts["version"] = options.version
        return parts


def _takes_inputs(target: Any) -> bool:
    """Whether a function is the model itself: one that cannot be called without arguments."""
    return any(
        p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in parameters_of(target).values()
    )
