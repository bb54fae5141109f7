"""One linear layer behind a queue, three ways; prints figures as JSON.

python benchmarks/peers/task_pools.py {bare,foretell,hivemind} TASKS ROUNDTRIPS
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future

import torch

WIDTH = 64
LIMIT = 256
CLIENTS = 64


class Bare:
    """A queue, a condition and a future around the layer, and nothing else."""

    def __init__(self, layer):
        self._layer = layer
        self._queue = deque()
        self._there = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, x):
        future = Future()
        with self._there:
            self._queue.append((x, future))
            self._there.notify()
        return future

    def _work(self):
        while True:
            with self._there:
                while not self._queue and not self._ending:
                    self._there.wait()
                if self._ending:
                    return
                taken = [self._queue.popleft() for _ in range(min(LIMIT, len(self._queue)))]
            with torch.no_grad():
                y = self._layer(torch.cat([x for x, _ in taken]))
            for (_, future), part in zip(taken, y.split([len(x) for x, _ in taken]), strict=True):
                future.set_result(part)

    def close(self):
        with self._there:
            self._ending = True
            self._there.notify()
        self._thread.join()


class Ours:
    """The expert backend and runtime with everything they do switched on."""

    def __init__(self, layer):
        from foretell_experts import BatchTensorDescriptor, ExpertBackend, Runtime

        self._backend = ExpertBackend(
            "layer",
            layer,
            torch.optim.SGD(layer.parameters(), lr=0.1),
            args_schema=(BatchTensorDescriptor(WIDTH),),
            max_batch_size=LIMIT,
        )
        self._runtime = Runtime({"layer": self._backend})
        self._runtime.start()

    def submit(self, x):
        return self._backend.forward_pool.submit_task(x)

    def close(self):
        self._runtime.shutdown()


class Hivemind:
    """hivemind's pool and runtime around the same function."""

    def __init__(self, layer):
        from hivemind.moe.server.runtime import Runtime
        from hivemind.moe.server.task_pool import TaskPool

        def forward(x):
            with torch.no_grad():
                return (layer(x),)

        self._pool = TaskPool(forward, max_batch_size=LIMIT, name="layer", start=True)
        self._runtime = Runtime({"layer": self})
        self._runtime.start()
        self._runtime.ready.wait()

    def get_pools(self):
        return (self._pool,)

    def submit(self, x):
        return self._pool.submit_task(x)

    def close(self):
        self._runtime.shutdown()


CONTENDERS = {"bare": Bare, "foretell": Ours, "hivemind": Hivemind}


def burst(served, x, count):
    """Tasks a second when all are submitted at once by one thread."""
    began = time.perf_counter()
    futures = [served.submit(x) for _ in range(count)]
    for future in futures:
        future.result(60)
    return count / (time.perf_counter() - began)


def round_trips(served, x, count):
    """Seconds of each of ``count`` tasks, one after the other."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        served.submit(x).result(60)
        taken.append(time.perf_counter() - began)
    return sorted(taken)


def waiting_clients(served, x, count):
    """Tasks a second of 64 threads that each wait for their answer."""
    each = max(1, count // CLIENTS)
    together = threading.Barrier(CLIENTS + 1)

    def client():
        together.wait()
        for _ in range(each):
            served.submit(x).result(60)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    together.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return each * CLIENTS / (time.perf_counter() - began)


def main():
    name, tasks, trips = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    served = CONTENDERS[name](torch.nn.Linear(WIDTH, WIDTH))
    x = torch.rand(1, WIDTH)
    burst(served, x, max(1, tasks // 10))  # warm
    trip = round_trips(served, x, trips)
    figures = {
        "burst": burst(served, x, tasks),
        "p50_ms": trip[len(trip) // 2] * 1e3,
        "p95_ms": trip[int(len(trip) * 0.95)] * 1e3,
        "clients": waiting_clients(served, x, tasks),
    }
    served.close()
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
