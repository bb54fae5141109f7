"""A plugin with deployers that real frameworks would need: a group of processes, and services.

``group``: two processes that exchange a number at every batch over a socket, so that a batch that
only one of them launches hangs, and batches launched in another order are noticed.
``service``: a deployment whose model lives in a service on some worker.
``tight``: a device whose memory holds only so many rows.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

import foretell
import numpy as np
from foretell.abc import DeployContext, Deployer, DeployerOptions, Deployment, Predictor
from foretell.types import Batch, ServiceSpec
from pydantic import Field


class Calling(Deployment):
    """Calls the model in the calling thread."""

    def __init__(self, predictor: Predictor, model: Any) -> None:
        self._predictor = predictor
        self._model = model

    def launch(self, batch: Batch) -> Any:
        return self._predictor.predict(self._model, batch)

    def collect(self, handle: Any) -> Any:
        return handle


# --- a group ------------------------------------------------------------------------------------


class GroupOptions(DeployerOptions):
    size: int = Field(default=2, description="Processes of the group.")
    rows: Literal["split", "same"] = Field(default="split", description="How rows are shared.")
    die_at: int | None = Field(default=None, description="Rank 1 ends itself at this row, once.")
    marker: str = Field(default="", description="File that says it has.")


class GroupDeployer(Deployer):
    Options = GroupOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"callable"})

    def __init__(self, options: GroupOptions) -> None:
        self.options = options

    @property
    def group_size(self) -> int:
        return self.options.size

    @property
    def group_rows(self) -> Literal["split", "same"]:
        return self.options.rows

    def deploy(self, predictor: Predictor, context: DeployContext) -> Deployment:
        return GroupDeployment(self.options, predictor, predictor.load(), context)


class GroupDeployment(Calling):
    """Every launch exchanges (number of the launch, digest of the rows) with the other members."""

    def __init__(
        self, options: GroupOptions, predictor: Predictor, model: Any, context: DeployContext
    ) -> None:
        super().__init__(predictor, model)
        self._options = options
        self._rank = context.group.rank
        self._count = 0
        host, port = context.group.address.split(":")
        if self._rank == 0:
            with socket.create_server((host, int(port))) as server:
                server.settimeout(60)
                self._peer, _ = server.accept()
        else:
            self._peer = _connect(host, int(port))
        self._peer.settimeout(120)

    def launch(self, batch: Batch) -> Any:
        options = self._options
        if self._rank == 1 and options.die_at is not None and options.die_at in batch.rows:
            marker = Path(options.marker)
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1
        first = int(batch.rows.max()) if options.rows == "same" else 0
        self._peer.sendall(struct.pack("<qq", self._count, first))
        count, other = struct.unpack("<qq", _exactly(self._peer, 16))
        if (count, other) != (self._count, first):
            raise RuntimeError(f"out of step: {(count, other)} here {(self._count, first)}")
        return super().launch(batch)

    def close(self) -> None:
        self._peer.close()


def _connect(host: str, port: int) -> socket.socket:
    until = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection((host, port), timeout=5)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = peer.recv(size - len(data))
        if not piece:
            raise ConnectionError("the other member is gone")
        data += piece
    return data


# --- a service ----------------------------------------------------------------------------------


class ServiceOptions(DeployerOptions):
    die_at: int | None = Field(default=None, description="The service ends its host at this row.")
    marker: str = Field(default="", description="File that says it has.")
    repeatable: bool = Field(default=True, description="Whether a lost call may be sent again.")
    once: bool = Field(default=False, description="The same, said of the method alone.")
    budget: int | None = Field(default=None, description="Services one worker may hold.")
    count: int = Field(default=2, description="Services.")


class Doubler:
    """A service: doubles, and may take its process down once."""

    def __init__(self, die_at: int | None, marker: str) -> None:
        self._die_at = die_at
        self._marker = marker

    def double(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if self._die_at is not None and self._die_at in rows and not Path(self._marker).exists():
            Path(self._marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x * 2


class ServiceDeployer(Deployer):
    Options = ServiceOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"callable"})

    def __init__(self, options: ServiceOptions) -> None:
        self.options = options

    @property
    def service_memory(self) -> int | None:
        return self.options.budget

    def services(self, predictor: Predictor) -> list[ServiceSpec]:
        given = {"die_at": self.options.die_at, "marker": self.options.marker}
        return [
            ServiceSpec(
                f"doubler-{n}",
                "foretell_fakes:Doubler",
                given,
                memory=1,
                repeatable=self.options.repeatable,
                once=("double",) if self.options.once else (),
            )
            for n in range(self.options.count)
        ]

    def deploy(self, predictor: Predictor, context: DeployContext) -> Deployment:
        predictor.load()
        return ServiceDeployment(self.options.count, context)


class ServiceDeployment(Deployment):
    def __init__(self, count: int, context: DeployContext) -> None:
        assert context.services is not None
        self._count = count
        self._services = context.services
        self._calls = 0

    def launch(self, batch: Batch) -> Any:
        which = int(batch.rows[0] // max(1, batch.size)) % self._count
        arrays = {"x": np.asarray(batch.inputs), "rows": batch.rows}
        self._calls += 1
        return {"y": self._services.call(f"doubler-{which}", "double", arrays, 60.0)}

    def collect(self, handle: Any) -> Any:
        return handle

    def stats(self) -> dict[str, Any]:
        return {"calls": self._calls}


# --- a device with little memory ----------------------------------------------------------------


class TightOptions(DeployerOptions):
    holds: int = Field(default=64, description="Rows that fit into the device's memory.")
    log: str = Field(default="", description="File that gets the size of every launch.")


class DeviceFull(RuntimeError):
    """The allocator of the planted device refuses."""


class TightDeployer(Deployer):
    Options = TightOptions
    accepts: ClassVar[frozenset[str]] = frozenset({"callable"})

    def __init__(self, options: TightOptions) -> None:
        self.options = options

    def deploy(self, predictor: Predictor, context: DeployContext) -> Deployment:
        return TightDeployment(self.options, predictor, predictor.load())


class TightDeployment(Calling):
    any_batch_size = True

    def __init__(self, options: TightOptions, predictor: Predictor, model: Any) -> None:
        super().__init__(predictor, model)
        self._options = options
        self._launches = 0

    def launch(self, batch: Batch) -> Any:
        with open(self._options.log, "a", encoding="ascii") as log:
            log.write(f"{batch.size}\n")
        self._launches += 1
        if batch.size > self._options.holds:
            raise DeviceFull(f"{batch.size} rows do not fit")
        return super().launch(batch)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, DeviceFull)

    def stats(self) -> dict[str, Any]:
        return {"launches": self._launches}

    def notes(self) -> list[tuple[str, str]]:
        return [("holds", f"{self._options.holds} rows")]

    def sharding(self) -> list[dict[str, Any]]:
        return [{"parameter": "a/b", "spec": "(x)", "bytes_per_device": 12_345}]


@foretell.hookimpl
def register_deployers() -> list[foretell.Entry]:
    return [
        foretell.Entry("group", "two processes as one", "foretell_fakes:GroupDeployer"),
        foretell.Entry("service", "the model is a service", "foretell_fakes:ServiceDeployer"),
        foretell.Entry("tight", "a device with little memory", "foretell_fakes:TightDeployer"),
    ]
