"""``kind = "jax"``: a predictor's model on a mesh, of one process or of several that act as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from foretell.abc.deployer import DeployContext, Deployer
from foretell.abc.predictor import Predictor
from foretell.errors import ConfigError, ForetellError, LoadError

from foretell_jax.needs import need
from foretell_jax.options import JaxDeployerOptions

if TYPE_CHECKING:
    from foretell_jax.deployment import JaxDeployment


class JaxDeployer(Deployer):
    """Spreads the model over devices by sharding rules, and the rows over ``dp``.

    With ``processes`` above 1, so many worker processes form one mesh: each is given its share of
    the rows and stores its own results. Where the model's shards span processes, all are given
    all rows and the first one stores them.
    """

    Options = JaxDeployerOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"jax"})
    supports_async: ClassVar[bool] = True

    def __init__(self, options: JaxDeployerOptions) -> None:
        self.options = options
        if self.group_rows == "same" and self._axes().get("dp", 1) != 1:
            raise ConfigError(
                "model shards that span processes leave no rows to split",
                facts=[
                    ("mesh", str(self._axes())),
                    ("processes", str(options.processes)),
                    ("expected", "dp = 1"),
                ],
                tries=[("--set schedule.workers=…", "several groups, each a mesh of its own")],
                slug="mesh-processes",
            )

    @property
    def group_size(self) -> int:
        return self.options.processes

    @property
    def group_rows(self) -> Literal["split", "same"]:
        """``split`` unless the axes other than ``dp`` span processes."""
        processes, axes = self.options.processes, self._axes()
        if processes == 1:
            return "split"
        return "split" if axes.get("dp", processes) % processes == 0 else "same"

    def _axes(self) -> dict[str, int]:
        return dict(self.options.mesh or {})

    def slots(self, cpus: int) -> int:
        return self.options.slots or 1

    def threads(self, cpus: int, slots: int) -> int:
        return self.options.threads or max(1, cpus // slots)

    def deploy(self, predictor: Predictor, context: DeployContext) -> JaxDeployment:
        need("jax", "deployer.kind = 'jax'")
        from foretell_jax.deployment import JaxDeployment, prepare_process

        prepare_process(self.options, context)
        try:
            model = predictor.load()
        except ForetellError:
            raise
        except Exception as error:
            raise LoadError(
                "the model could not be loaded",
                facts=[("cause", f"{type(error).__name__}: {error}")],
            ) from error
        return JaxDeployment(self.options, predictor, model, context, self.group_rows)


def local_buckets(options: JaxDeployerOptions, members: int) -> Sequence[int] | None:
    """The declared buckets as rows of one process.

    Raises:
        ConfigError: one that the processes do not divide.
    """
    if options.buckets is None:
        return None
    for size in options.buckets:
        if size % members:
            raise ConfigError(
                "a bucket is not a multiple of the processes that share it",
                facts=[("bucket", f"{size} rows"), ("processes", str(members))],
                slug="config-buckets",
            )
    return [size // members for size in options.buckets]


def check_shares(declared: str, axes: Mapping[str, int], processes: int) -> None:
    """Refuse a mesh that shares its rows otherwise than the engine was told before it was made.

    Args:
        declared: ``split`` or ``same``, from the settings alone.
        axes: The mesh as it is.
        processes: Processes of the group.

    Raises:
        ConfigError: the job leaves ``dp`` open, and it turned out not to be split by processes.
    """
    real = "split" if axes["dp"] % processes == 0 else "same"
    if real != declared:
        written = ", ".join(f"{name} = {extent}" for name, extent in axes.items())
        raise ConfigError(
            "the model's shards span processes, which the job does not say",
            facts=[("mesh", str(dict(axes))), ("processes", str(processes))],
            tries=[(f"mesh = {{ {written} }}", "the whole mesh, dp included")],
            slug="mesh-processes",
        )
