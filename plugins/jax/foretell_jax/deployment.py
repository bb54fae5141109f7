"""A model on its mesh, ready for batches."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from foretell.abc.deployer import DeployContext, Deployment
from foretell.abc.predictor import Predictor
from foretell.errors import LoadError
from foretell.types import JSON, Batch

from foretell_jax import cache
from foretell_jax.autorules import automatic_rules
from foretell_jax.buckets import bucket_for, bucket_sizes
from foretell_jax.collect import start_copies, to_host
from foretell_jax.distributed import join, leave, set_up_devices
from foretell_jax.explain import axes_of, bytes_per_device, placed
from foretell_jax.memory import check_fit, device_memory
from foretell_jax.mesh import full_axes, make_mesh, row_shares, shardings_for, specs_for
from foretell_jax.options import JaxDeployerOptions
from foretell_jax.placing import PRECISIONS
from foretell_jax.programs import Programs
from foretell_jax.runner import check_shares, local_buckets
from foretell_jax.trees import take_apart


def prepare_process(options: JaxDeployerOptions, context: DeployContext) -> None:
    """Set up JAX in this process: devices, the other processes, the cache of programs.

    Raises:
        LoadError: JAX is at work already with other devices, or the others do not come.
    """
    set_up_devices(options.simulated_devices, options.platform)
    if context.group.size > 1 and not jax.distributed.is_initialized():
        join(context.group.address, context.group.size, context.group.rank)
    if options.compilation_cache and context.cache_dir is not None:
        cache.keep_programs(os.path.join(context.cache_dir, "jax"))


class JaxDeployment(Deployment):
    """Launches without waiting for the device; ``collect`` waits.

    Args:
        options: The deployer's settings.
        predictor: Its ``predict`` is what is traced.
        model: What it loaded: a :class:`~foretell_jax.predictor.JaxModel`.
        context: Where this is.
        group_rows: How the engine shares a batch between the processes of a group.

    Raises:
        ConfigError: mesh, rules or buckets do not fit.
        LoadError: the parameters cannot be read, or do not fit the devices.
    """

    max_in_flight = 2

    def __init__(
        self,
        options: JaxDeployerOptions,
        predictor: Predictor,
        model: Any,
        context: DeployContext,
        group_rows: str = "split",
    ) -> None:
        shapes = model.parameters.shapes()
        self._grouped = context.group.size > 1
        axes = full_axes(options.mesh, options.n_model_shards or 1, len(jax.devices()))
        if self._grouped:
            check_shares(group_rows, axes, context.group.size)
        self.mesh = make_mesh(axes)
        rules = chosen_rules(options, shapes, axes)
        floats = None if options.precision is None else PRECISIONS[options.precision]
        self._placed = placed(shapes, rules, self.mesh, floats)
        local = [device for device in self.mesh.devices.flat if device in set(jax.local_devices())]
        self._limit = device_memory(local, options.device_memory)
        check_fit(self._placed, self._limit, self.mesh.devices.size)
        shardings = shardings_for(specs_for(shapes, rules, self.mesh), self.mesh)
        params = _loaded(model, shardings, floats)
        split = context.group.size if self._grouped and group_rows == "split" else 1
        self._sizes = bucket_sizes(
            context.batch_size, row_shares(self.mesh), local_buckets(options, split)
        )
        self._programs = Programs(
            lambda params, keys, rows, mask, inputs: predictor.predict(
                model.bound(params), Batch(inputs, rows, mask, keys)
            ),
            self.mesh,
            donate=options.donate,
            floats=floats,
        )
        self._bound: Any = self._programs.bind(params)
        self._lock = threading.Lock()
        self._batches = 0

    def launch(self, batch: Batch) -> Any:
        size = bucket_for(batch.size, self._sizes)
        inputs, keys, rows, mask = batch.inputs, batch.keys, batch.rows, batch.mask
        if size > batch.size:
            inputs, keys, rows, mask = (padded(part, size) for part in (inputs, keys, rows, mask))
            mask[batch.size :] = False
        with self._lock:
            # All devices must meet the programs of all threads in one order.
            extras = {"keys": keys, "rows": rows, "mask": mask}
            outputs = self._bound.launch(inputs, size, extras.__getitem__)
            self._batches += 1
        start_copies(outputs)
        return outputs, batch.size

    def collect(self, handle: Any) -> Any:
        outputs, rows = handle
        return to_host(outputs, rows)

    def devices(self) -> Sequence[str]:
        return [str(device) for device in self.mesh.devices.flat]

    def stats(self) -> Mapping[str, JSON]:
        compiled = self._programs.compiled
        return {
            "batches": self._batches,
            "mesh": dict(axes_of(self.mesh)),
            "parameter_bytes_per_device": bytes_per_device(self._placed),
            "buckets": list(self._sizes),
            "compiles": compiled.count,
            "compile_seconds": round(compiled.seconds, 3),
            "compiled_rows": list(compiled.shapes),
            "cache_hits": cache.hits(),
        }

    def notes(self) -> Sequence[tuple[str, str]]:
        """How the model lies on its devices, for ``sdk plan``."""
        from foretell.text import size

        axes = " x ".join(f"{name} {extent}" for name, extent in axes_of(self.mesh).items())
        held = size(bytes_per_device(self._placed))
        of = "" if self._limit is None else f" of {size(self._limit)}"
        return [
            ("mesh", axes),
            ("parameters", f"{len(self._placed)}, {held}{of} on each device"),
            ("buckets", ", ".join(f"{size:,}" for size in self._sizes) + " rows"),
        ]

    def sharding(self) -> Sequence[Mapping[str, JSON]]:
        """Which rule took which parameter, for ``sdk plan --sharding``."""
        return [parameter.record() for parameter in self._placed]

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Python's own, and the runtime's by the status it begins with."""
        if isinstance(error, MemoryError):
            return True
        text = str(error)
        return isinstance(error, RuntimeError) and (
            "RESOURCE_EXHAUSTED" in text or "Out of memory" in text
        )

    def close(self) -> None:
        """Give up the parameters and leave the other processes."""
        self._bound = None
        if self._grouped:
            self._grouped = False
            leave()


def chosen_rules(options: JaxDeployerOptions, shapes: Any, axes: Mapping[str, int]) -> Any:
    """The rules of a job: its own, automatic ones, or none."""
    if options.rules == "replicated":
        return None
    if options.rules != "auto":
        return list(options.rules)
    model_axes = [name for name, extent in axes.items() if name != "dp" and extent > 1]
    if not model_axes:
        return None
    return automatic_rules(take_apart(shapes).shapes(), axes[model_axes[0]], model_axes[0])


def _loaded(model: Any, shardings: Any, floats: str | None) -> Any:
    try:
        return jax.block_until_ready(model.parameters.load(shardings, floats))
    except LoadError:
        raise
    except Exception as error:
        raise LoadError(
            "the parameters could not be loaded",
            facts=[("cause", f"{type(error).__name__}: {error}".partition("\n")[0])],
            slug="load-params",
        ) from error


def padded(tree: Any, size: int) -> Any:
    """A nest of arrays with filler, copies of the first row, up to ``size`` rows."""

    def fill(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        if not array.ndim or not len(array) or len(array) >= size:
            return array
        return np.concatenate([array, np.repeat(array[:1], size - len(array), axis=0)])

    return jax.tree.map(fill, tree)
