"""Processes that form one mesh: joining, and what they tell each other."""

from __future__ import annotations

import os
import pickle
from typing import Any

import jax
import numpy as np
from foretell.errors import LoadError

JOIN_SECONDS = 120
"""How long a process waits for the others to come."""

HEARTBEAT_SECONDS = 30
"""Silence after which the others count a process as gone."""


def set_up_devices(simulated: int | None, platform: str | None) -> None:
    """Choose the platform and the number of simulated devices, before JAX looks for any.

    Raises:
        LoadError: JAX was used in this process already, with other devices.
    """
    for name, value in (("jax_platforms", platform), ("jax_num_cpu_devices", simulated)):
        if value is None:
            continue
        try:
            jax.config.update(name, value)
        except RuntimeError as error:
            if simulated is not None and len(jax.local_devices()) == simulated:
                continue
            raise LoadError(
                "JAX is at work in this process already, with other devices",
                facts=[
                    ("expected", f"{name} = {value}"),
                    ("got", f"{len(jax.local_devices())} devices, {jax.default_backend()}"),
                ],
                tries=[("--set schedule.workers=1", "a process of its own")],
                slug="mesh-devices",
            ) from error


def join(address: str, processes: int, process: int, devices: int | None = None) -> None:
    """Become one of several processes that form one mesh. Called before JAX looks for devices.

    Args:
        address: ``host:port`` of process 0, where the processes find each other.
        processes: How many they are.
        process: Which this is.
        devices: Devices of this process to use; all for None.

    Raises:
        LoadError: the others did not come, or this process has joined already.
    """
    _speak_gloo()
    try:
        jax.distributed.initialize(
            coordinator_address=address,
            num_processes=processes,
            process_id=process,
            local_device_ids=None if devices is None else list(range(devices)),
            cluster_detection_method="deactivate",
            initialization_timeout=JOIN_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=5,
            coordinator_bind_address=address,  # and on no other interface
        )
    except Exception as error:  # RuntimeError, ValueError and the runtime's own
        raise LoadError(
            "the processes of the mesh did not find each other",
            facts=[
                ("address", address),
                ("process", f"{process} of {processes}"),
                ("cause", f"{type(error).__name__}: {error}".partition("\n")[0]),
            ],
            slug="mesh-join",
        ) from error


def _speak_gloo() -> None:
    """CPU devices of several processes need a library to talk; others bring their own."""
    if "jax_cpu_collectives_implementation" in jax.config.values:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")


def leave() -> None:
    """Let go of the others; harmless where nothing was joined."""
    if jax.distributed.is_initialized():
        jax.distributed.shutdown()


def slurm_place() -> tuple[int, int, str | None] | None:
    """(processes, this one, host of the first) as SLURM says, one process a node or task.

    Returns:
        None outside SLURM, or for a job of a single process.
    """
    env = os.environ
    for count, rank in (("SLURM_NTASKS", "SLURM_PROCID"), ("SLURM_JOB_NUM_NODES", "SLURM_NODEID")):
        if count in env and rank in env and int(env[count]) > 1:
            nodes = env.get("SLURM_STEP_NODELIST") or env.get("SLURM_JOB_NODELIST")
            return int(env[count]), int(env[rank]), None if nodes is None else first_host(nodes)
    return None


def first_host(nodes: str) -> str:
    """The first host of a SLURM node list: ``n[03-05,9]`` gives ``n03``, ``a,b`` gives ``a``."""
    depth = 0
    for at, sign in enumerate(nodes):
        depth += (sign == "[") - (sign == "]")
        if sign == "," and depth == 0:
            nodes = nodes[:at]
            break
    stem, bracket, rest = nodes.partition("[")
    if not bracket:
        return stem
    inside, _, suffix = rest.partition("]")
    return stem + inside.split(",")[0].split("-")[0] + suffix


def gather_lists(items: list[Any]) -> list[list[Any]]:
    """The lists of all processes, on every process, in the order of the processes.

    The processes are one program's own, so the lists travel pickled.
    """
    from jax.experimental import multihost_utils

    data = np.frombuffer(pickle.dumps(items), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.array([len(data)], np.int32)))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: len(data)] = data
    everything = np.asarray(multihost_utils.process_allgather(padded))
    flat = sizes.reshape(-1).tolist()
    return [
        pickle.loads(row[:count].tobytes())
        for row, count in zip(everything.reshape(len(flat), -1), flat, strict=True)
    ]
