"""``kind = "experts"``: each expert a service on some worker; a mixture in every one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from foretell.abc import DeployContext, Deployer, Deployment, Predictor
from foretell.errors import ConfigError, ForetellError
from foretell.imports import load_object
from foretell.types import JSON, Arrays, Batch, ServiceSpec

from foretell_experts.errors import check_framework, not_loaded
from foretell_experts.predictor import ExpertsPredictor
from foretell_experts.settings import ExpertsDeployerOptions, ExpertSettings

if TYPE_CHECKING:
    from foretell_experts.mixture import Mixture

SLOTS = 4
"""Chunks of a worker that feed the experts at once."""

_FACTORY = "foretell_experts.service:ExpertService"
_OUT_OF_MEMORY = ("OutOfMemoryError", "out of memory", "can't allocate memory")


class ExpertsDeployer(Deployer):
    """Declares the experts of a mixture as services and lets every worker call them."""

    Options = ExpertsDeployerOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"experts"})

    def __init__(self, options: ExpertsDeployerOptions) -> None:
        self.options = options

    def slots(self, cpus: int) -> int:
        return self.options.slots or SLOTS

    def threads(self, cpus: int, slots: int) -> int:
        return self.options.threads or max(1, cpus)  # one thread computes, whatever the slots

    @property
    def service_memory(self) -> int | None:
        return self.options.memory_budget

    def services(self, predictor: Predictor) -> Sequence[ServiceSpec]:
        assert isinstance(predictor, ExpertsPredictor)  # the only predictor of this model kind
        check_framework()
        return [self._service(predictor, expert) for expert in predictor.options.experts]

    def _service(self, predictor: ExpertsPredictor, expert: ExpertSettings) -> ServiceSpec:
        options, checkpoint = self.options, predictor.checkpoint_of(expert)
        memory = predictor.memory_of(expert)
        budget = options.memory_budget
        if budget is not None and memory > budget:
            raise ConfigError(
                f"expert {expert.name!r} does not fit into a worker's budget",
                facts=[("needs", f"{memory:,} bytes"), ("deployer.memory_budget", f"{budget:,}")],
                slug="experts-memory",
            )
        return ServiceSpec(
            name=expert.name,
            factory=_FACTORY,
            options={
                "name": expert.name,
                "model": expert.model,
                "options": expert.options,
                "checkpoint": None if checkpoint is None else str(checkpoint),
                "base_dir": str(predictor.options.base_dir),
                "device": options.device,
                "batching": options.batching,
                "max_batch_size": options.max_batch_size,
                "min_batch_size": options.min_batch_size,
                "flush": options.flush,
                "process_timeout": options.process_timeout or predictor.options.timeout / 2,
            },
            memory=memory,
        )

    def deploy(self, predictor: Predictor, context: DeployContext) -> MixtureDeployment:
        assert isinstance(predictor, ExpertsPredictor)
        try:
            from foretell_experts.mixture import Mixture

            router = predictor.load()
        except ForetellError:
            raise
        except Exception as error:
            raise not_loaded("the router", error) from error
        here = None
        if context.services is None:
            here = Here(self.services(predictor))
        caller = context.services if here is None else here
        assert caller is not None
        mixture = Mixture(
            router, predictor.options, caller, context, fixed=self.options.batching == "fixed"
        )
        return MixtureDeployment(predictor, mixture, here)


class Here:
    """Experts in this very process, where there is no cluster to place them on."""

    def __init__(self, specs: Sequence[ServiceSpec]) -> None:
        self._services = {}
        for spec in specs:
            try:
                self._services[spec.name] = load_object(spec.factory, ".")(**spec.options)
            except ForetellError:
                self.close()
                raise

    def call(self, name: str, method: str, arrays: Arrays, deadline: float) -> Arrays:
        """Call a service; it keeps the deadline itself."""
        answer: Arrays = getattr(self._services[name], method)(**arrays)
        return answer

    def close(self) -> None:
        """Let the experts go."""
        for service in self._services.values():
            service.close()


class MixtureDeployment(Deployment):
    """A mixture, asked batch by batch. Its experts work for other threads in the meantime."""

    max_in_flight = 1

    def __init__(self, predictor: Predictor, mixture: Mixture, here: Here | None) -> None:
        self._predictor = predictor
        self._mixture = mixture
        self._here = here

    def launch(self, batch: Batch) -> Any:
        return self._predictor.predict(self._mixture, batch)

    def collect(self, handle: Any) -> Any:
        return handle

    def devices(self) -> Sequence[str]:
        return self._mixture.devices()

    def stats(self) -> Mapping[str, JSON]:
        """Figures of the mixture, and of the pools of those experts that live in this process."""
        from foretell_experts import hosting

        return {"mixture": self._mixture.figures(), "pools": hosting.figures()}

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Memory errors of Python and torch; those of another worker come as text."""
        if isinstance(error, MemoryError) or type(error).__name__ in _OUT_OF_MEMORY:
            return True
        return isinstance(error, RuntimeError) and any(
            phrase in str(error) for phrase in _OUT_OF_MEMORY
        )

    def close(self) -> None:
        """Stop asking; experts that live elsewhere go on."""
        self._mixture.close()
        if self._here is not None:
            self._here.close()
