"""``kind = "jax"``: a predictor's model on a mesh, of one process or of several that act as one."""

from __future__ import annotations

import math
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
        return JaxDeployment(self.options, predictor, model, context)


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


def product(axes: Mapping[str, int]) -> int:
    """Devices of a mesh."""
    return math.prod(axes.values())
