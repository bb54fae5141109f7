"""``kind = "accelerator"``: a model compiled ahead of time, or compiled here into the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from foretell.abc import DeployContext, Deployer, Predictor
from foretell.errors import ConfigError, ForetellError, LoadError
from foretell.paths import cache_dir
from foretell.types import ServiceSpec

from foretell_accelerator import registry
from foretell_accelerator.artifact import check_setting, check_usable
from foretell_accelerator.deployment import AcceleratorDeployment
from foretell_accelerator.manifest import read_manifest
from foretell_accelerator.settings import AcceleratorOptions


class AcceleratorDeployer(Deployer):
    """Runs artifacts, and compiles models that have none."""

    Options = AcceleratorOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"artifact", "generate", "torch"})

    def __init__(self, options: AcceleratorOptions) -> None:
        self.options = options

    def slots(self, cpus: int) -> int:
        return self.options.slots or 1

    def threads(self, cpus: int, slots: int) -> int:
        return self.options.threads or max(1, cpus // slots)

    def services(self, predictor: Predictor) -> Sequence[ServiceSpec]:
        """None; but what contradicts the artifact is refused here, before a worker starts.

        Raises:
            ArtifactError, ConfigError, UnknownPlugin: naming the field.
        """
        check(self.options, predictor)
        return ()

    def deploy(self, predictor: Predictor, context: DeployContext) -> AcceleratorDeployment:
        """Load the artifact, or the model that will be compiled.

        Raises:
            LoadError: it is missing, damaged, of another model, version or device; or the model
                cannot be loaded or compiled.
        """
        from foretell_accelerator import loading

        options = self.options
        check(options, predictor)
        cache = context.cache_dir or str(cache_dir() / "compiled")
        try:
            if predictor.model_kind == "generate":
                return loading.deploy_decoder(options, predictor, context, cache)
            return loading.deploy_model(options, predictor, context, cache)
        except ForetellError:
            raise
        except Exception as error:
            raise LoadError(
                "the model could not be loaded",
                facts=[("cause", f"{type(error).__name__}: {error}")],
            ) from error


def check(options: AcceleratorOptions, predictor: Predictor) -> None:
    """Refuse settings that do not fit together. Imports no framework.

    Raises:
        ArtifactError, ConfigError, UnknownPlugin: naming the field.
    """
    artifact = getattr(predictor, "artifact", None)
    if artifact is None:
        target_of(options, predictor)
        return
    manifest = read_manifest(artifact)
    check_setting("target", options.target, manifest.target)
    check_setting("precision", options.precision, manifest.precision)
    check_setting("device", options.device, manifest.device.split()[0])
    if options.rewrites:
        check_setting("rewrites", tuple(options.rewrites), manifest.rewrites)
    if options.options:
        check_setting("options", options.options, dict(manifest.options))
    target = registry.target(manifest.target)
    check_usable(Path(artifact), manifest, target, model_parts(predictor))


def model_parts(predictor: Predictor) -> dict[str, str]:
    """What identifies the model of a predictor of any package."""
    own: Any = getattr(predictor, "model_fingerprint", predictor.fingerprint)
    return dict(own())


def target_of(options: AcceleratorOptions, predictor: Predictor) -> str:
    """The target to compile for.

    Raises:
        ConfigError: none is named, with those that are usable here.
        UnknownPlugin: it is not registered.
    """
    name = options.target or getattr(predictor, "default_target", None)
    if name is None:
        usable = [e.name for e in registry.targets() if not registry.target(e.name).usable()]
        raise ConfigError(
            "the job names neither an artifact nor a target to compile for",
            facts=[("missing", "deployer.target"), ("usable here", ", ".join(usable) or "none")],
            tries=[(f"--set deployer.target={name}", "") for name in usable if name != "torch"],
            slug="config-target",
        )
    target = registry.target(name)
    for field, wanted, known in (
        ("precision", options.precision, target.precisions),
        ("device", options.device, target.devices),
    ):
        if wanted is not None and wanted not in known:
            raise ConfigError(
                f"the target {name} has no {field} {wanted}",
                facts=[(f"deployer.{field}", wanted), ("known", ", ".join(known))],
                slug=f"compile-{field}",
            )
    if reason := target.usable():
        raise LoadError(
            f"the target {name} cannot be used here",
            facts=[("because", reason)],
            tries=[(f"pip install 'foretell[{target.extra}]'", "")] if target.extra else [],
            slug="compile-target",
        )
    return name
