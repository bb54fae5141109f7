"""A deployer puts a predictor's model on a worker's devices; a deployment runs batches there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from foretell.abc.options import DeployerOptions
from foretell.abc.predictor import Predictor
from foretell.types import JSON, Arrays, Batch, GroupInfo, ServiceSpec


class ServiceCaller(Protocol):
    """How a deployment reaches the services its deployer declared."""

    def call(self, name: str, method: str, arrays: Arrays, deadline: float) -> Arrays:
        """Call ``method(**arrays)`` on service ``name``; wait at most ``deadline`` seconds.

        A call whose service died is sent again to the restarted one when the service is
        ``repeatable`` and time is left.

        Raises:
            ServiceLost: the service is gone, or did not answer in time.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeployContext:
    """What a deployer may know of the place it deploys to.

    Attributes:
        batch_size: Rows in every batch this process launches.
        slots: Batches the engine will run at once in this process.
        threads: Intra-operation threads for each slot.
        worker: Index of the worker process, 0-based.
        workers: Worker processes of the run.
        group: This process's place in its group; rank 0 of 1 without groups.
        services: Caller for declared services, None when there are none.
        seed: The run's seed.
        cache_dir: A folder for compiled programs and the like, or None.
    """

    batch_size: int
    slots: int = 1
    threads: int = 1
    worker: int = 0
    workers: int = 1
    group: GroupInfo = field(default_factory=GroupInfo)
    services: ServiceCaller | None = None
    seed: int = 0
    cache_dir: str | None = None


class Deployment(ABC):
    """A model on its devices, ready for batches.

    ``launch`` and ``collect`` of one handle are called from the same thread; different threads
    (at most ``slots``) launch at the same time.
    """

    max_in_flight: int = 2
    """Batches one thread may have launched and not yet collected."""

    any_batch_size: bool = False
    """Whether batches of another size than ``DeployContext.batch_size`` cost nothing extra.

    Where they do not, ``batch_size = "auto"`` tries several. Leave it False where every shape is
    compiled for."""

    @abstractmethod
    def launch(self, batch: Batch) -> Any:
        """Start computing a batch; may return before the device is done.

        Returns:
            A handle for :meth:`collect`.

        Raises:
            Exception: the batch cannot be computed; the engine halves it, or splits it when
                :meth:`is_out_of_memory` says so.
        """

    @abstractmethod
    def collect(self, handle: Any) -> Any:
        """Wait for a launched batch.

        Returns:
            The predictions on the host: a nest of NumPy arrays, ``batch.size`` rows each, in the
            order of the batch this process launched.
        """

    def devices(self) -> Sequence[str]:
        """Names of the devices in use, e.g. ``["cpu:0"]``."""
        return ["cpu"]

    def stats(self) -> Mapping[str, JSON]:
        """Figures for the run's record: compile counts, queue depths …"""
        return {}

    def notes(self) -> Sequence[tuple[str, str]]:
        """How the model lies on its devices, as (label, text) lines for ``sdk plan``."""
        return ()

    def sharding(self) -> Sequence[Mapping[str, JSON]]:
        """Where each parameter lies, for ``sdk plan --sharding``: equal keys in every record.

        Empty where parameters are not split over devices.
        """
        return ()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether ``error`` means the device had too little memory for the batch."""
        return isinstance(error, MemoryError)

    def close(self) -> None:  # noqa: B027 - many deployments hold nothing to free
        """Free the devices. Called once, no batch in flight."""


class Deployer(ABC):
    """Decides where and how a predictor's model runs.

    Built from options in the driver (which asks only for ``group_size``, ``services`` and the
    class attributes) and in every worker process (which calls :meth:`deploy`); so constructing one
    must not import the framework.
    """

    Options: ClassVar[type[DeployerOptions]] = DeployerOptions
    """Settings class of the ``[deployer]`` section."""

    accepts: ClassVar[frozenset[str]]
    """Model kinds it can run."""

    supports_async: ClassVar[bool] = False
    """Whether ``launch`` returns before the device is done."""

    @classmethod
    def from_options(cls, options: Any) -> Deployer:
        """Build the deployer from its validated settings; ``cls(options)`` by default."""
        return cls(options)  # type: ignore[call-arg]

    @abstractmethod
    def deploy(self, predictor: Predictor, context: DeployContext) -> Deployment:
        """Load the predictor's model and put it on this process's devices.

        Called once per worker process, in a task thread. In a group, called on every member at
        the same time.

        Raises:
            LoadError: the model cannot be loaded or does not fit.
        """

    @property
    def group_size(self) -> int:
        """Processes that act as one deployment."""
        return 1

    @property
    def group_rows(self) -> Literal["split", "same"]:
        """How a group shares a batch.

        ``split``: each member is given its own share of the rows (``batch_size / group_size``)
        and writes its own part of every chunk. ``same``: every member is given all rows, returns
        the same predictions, and the first one writes.
        """
        return "split"

    def slots(self, cpus: int) -> int:
        """Batches worth running at once in a process that has ``cpus`` cores."""
        return 1

    def threads(self, cpus: int, slots: int) -> int:
        """Intra-operation threads for each slot."""
        return max(1, cpus // slots)

    def services(self, predictor: Predictor) -> Sequence[ServiceSpec]:
        """Long-lived objects to place on the cluster before the first batch.

        Asked in the driver, so this must import no framework.

        Args:
            predictor: What is going to be deployed, not loaded.

        Raises:
            ConfigError: they cannot be placed as the settings say.
        """
        return ()

    @property
    def service_memory(self) -> int | None:
        """Bytes of services that one worker may hold; any number when None.

        A service waits for a worker with room, and the run fails when there will be none.
        """
        return None
