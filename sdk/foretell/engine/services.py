"""Services on workers: named, long-lived objects that deployments of any worker can call.

A service is an object in one worker process. Calls reach it over Dask's own connections between
workers and run in threads beside the chunks. Who hosts what is told to every worker with its lease;
a call whose host is lost waits there for the next host, unless it must not be repeated.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from distributed import Worker, get_worker
from distributed.protocol import to_serialize

from foretell.errors import ServiceLost
from foretell.imports import load_object
from foretell.types import Arrays, ServiceSpec

_OPERATION = "foretell_service"
_THREADS = 8

_LOOK_SECONDS = 0.1
"""How often a call that waits for its answer looks whether the service is elsewhere by now."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a service is.

    Attributes:
        address: Of the worker that hosts it.
        generation: How often it was started.
    """

    address: str
    generation: int


class Routes:
    """What this process knows of a run's services. Safe to use from any thread."""

    def __init__(self) -> None:
        self._known: dict[str, Route] = {}
        self._changed = threading.Condition()

    def update(self, table: Mapping[str, tuple[str, int]]) -> None:
        """Take over what the driver says; older news changes nothing."""
        with self._changed:
            for name, (address, generation) in table.items():
                known = self._known.get(name)
                if known is None or generation > known.generation:
                    self._known[name] = Route(address, generation)
            self._changed.notify_all()

    def find(self, name: str, newer_than: int, deadline: float) -> Route | None:
        """The route to a service started after generation ``newer_than``; waits for news."""

        def there() -> bool:
            return self.has_moved(name, newer_than)

        with self._changed:
            if self._changed.wait_for(there, timeout=max(0.0, deadline - time.monotonic())):
                return self._known[name]
        return None

    def has_moved(self, name: str, newer_than: int) -> bool:
        """Whether a service was started after generation ``newer_than``."""
        with self._changed:
            known = self._known.get(name)
            return known is not None and known.generation > newer_than


class Hosted:
    """The services of one run in this process."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.calls: dict[str, int] = {}
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="foretell-service")

    def run(self, name: str, method: str, arrays: Arrays) -> Any:
        """Call a service that lives here.

        Raises:
            ServiceLost: it does not.
        """
        service = self.objects.get(name)
        if service is None:
            raise ServiceLost(f"service {name!r} is not on this worker")
        self.calls[name] = self.calls.get(name, 0) + 1
        return getattr(service, method)(**arrays)

    def close(self) -> None:
        """Let go of the services, telling those that have a ``close``."""
        for service in self.objects.values():
            close = getattr(service, "close", None)
            if callable(close):
                close()
        self.objects.clear()
        self.pool.shutdown(wait=False, cancel_futures=True)


HOSTED: dict[str, Hosted] = {}
ROUTES: dict[str, Routes] = {}


def open_services(run: str, worker: Worker) -> None:
    """Make this process able to host and to call services of a run."""
    HOSTED.setdefault(run, Hosted())
    ROUTES.setdefault(run, Routes())
    worker.handlers[_OPERATION] = _serve


def close_services(run: str) -> None:
    """Free the services of a run in this process."""
    ROUTES.pop(run, None)
    hosted = HOSTED.pop(run, None)
    if hosted is not None:
        hosted.close()


def start_service(run: str, spec: ServiceSpec, base_dir: str) -> float:
    """Make a service in this process, in a task thread; returns the seconds it took.

    Raises:
        Whatever its factory raises.
    """
    clock = time.perf_counter()
    factory = load_object(spec.factory, base_dir)
    HOSTED[run].objects[spec.name] = factory(**spec.options)
    return time.perf_counter() - clock


async def _serve(run: str, name: str, method: str, arrays: Any) -> dict[str, Any]:
    """Handler on a worker: run the call in a thread, answer with its result or its error."""
    hosted = HOSTED.get(run)
    if hosted is None or name not in hosted.objects:
        return {"lost": True}
    loop = asyncio.get_running_loop()
    try:
        result = await loop.run_in_executor(hosted.pool, hosted.run, name, method, arrays)
    except Exception as error:  # a service's own failure is the caller's to see
        return {"error": f"{type(error).__name__}: {error}"}
    return {"result": to_serialize(result)}


class ServiceFailed(RuntimeError):
    """The service itself raised; it lives on."""


class Caller:
    """The calling side; see :class:`foretell.abc.ServiceCaller`.

    Made in a task thread, usable from any thread afterwards.
    """

    def __init__(self, run: str, specs: Mapping[str, ServiceSpec]) -> None:
        self._run = run
        self._specs = specs
        self._worker = get_worker()
        self.resent = 0

    def call(self, name: str, method: str, arrays: Arrays, deadline: float) -> Arrays:
        """Call a service, sending the call again when its host was lost and it may be repeated.

        Raises:
            ServiceLost: the service is unknown or gone, or there was no answer in time.
            ServiceFailed: the service raised.
        """
        if name not in self._specs:
            known = ", ".join(sorted(self._specs)) or "none"
            raise ServiceLost(f"there is no service {name!r}", facts=[("services", known)])
        until = time.monotonic() + deadline
        generation = 0
        while True:
            route = ROUTES[self._run].find(name, generation, until)
            if route is None:
                raise _late(name, method, deadline)
            generation = route.generation
            try:
                result: Arrays = self._send(route, name, method, arrays, until)
                return result
            except TimeoutError:
                raise _late(name, method, deadline) from None
            except (OSError, ServiceLost) as error:
                if not self._specs[name].repeatable or method in self._specs[name].once:
                    raise ServiceLost(
                        f"service {name!r} was lost in a call that must not be repeated",
                        facts=[("method", method), ("cause", str(error))],
                    ) from error
                self.resent += 1

    def _send(self, route: Route, name: str, method: str, arrays: Arrays, until: float) -> Any:
        if route.address == self._worker.address:
            return HOSTED[self._run].run(name, method, arrays)
        answer = self._ask(route, name, method, arrays, until)
        if answer.get("lost"):
            raise ServiceLost(f"service {name!r} is not where it was")
        if "error" in answer:
            raise ServiceFailed(f"service {name!r}: {answer['error']}")
        return answer["result"]

    def _ask(
        self, route: Route, name: str, method: str, arrays: Arrays, until: float
    ) -> dict[str, Any]:
        routes, remote = ROUTES[self._run], self._worker.rpc(route.address)

        async def go() -> Any:
            call = asyncio.ensure_future(
                getattr(remote, _OPERATION)(
                    run=self._run, name=name, method=method, arrays=to_serialize(arrays)
                )
            )
            try:
                # Dask tries for half a minute to connect to a host that has died.
                while not call.done():
                    if routes.has_moved(name, route.generation):
                        raise ServiceLost(f"service {name!r} was lost with {route.address}")
                    if (left := until - time.monotonic()) <= 0:
                        raise TimeoutError
                    await asyncio.wait({call}, timeout=min(left, _LOOK_SECONDS))
                return call.result()
            finally:
                call.cancel()

        future = asyncio.run_coroutine_threadsafe(go(), self._worker.loop.asyncio_loop)
        answer: dict[str, Any] = future.result()
        return answer


def _late(name: str, method: str, deadline: float) -> ServiceLost:
    return ServiceLost(
        f"service {name!r} did not answer in time",
        facts=[("method", method), ("deadline", f"{deadline:g} s")],
    )
