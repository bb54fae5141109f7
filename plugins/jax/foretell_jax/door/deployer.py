"""``Deployer``: the devices, the mesh, the random keys and the checkpoints, under redco's names."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from foretell.errors import ConfigError
from jax.sharding import Mesh

from foretell_jax import distributed
from foretell_jax.autorules import automatic_rules
from foretell_jax.door import checkpoints
from foretell_jax.mesh import full_axes, make_mesh, row_shares, shardings_for, specs_for
from foretell_jax.placing import place_tree
from foretell_jax.trees import take_apart

PORT = 11111
"""Where process 0 is met when nobody says."""


class Deployer:
    """Knows the devices of all processes as one mesh with the axes ``dp`` and ``mp``.

    Args:
        jax_seed: Seed of everything random.
        n_model_shards: Size of ``mp``; rows are split over the other devices.
        verbose: Whether progress and messages are shown.
        workdir: Folder for checkpoints.
        n_processes: Processes that form one mesh; as SLURM says when not given, else one.
        host0_address, host0_port: Where they meet.
        process_id: Which of them this is.
        n_local_devices: Devices of each process to use; all when not given.

    Raises:
        ConfigError: the shards do not divide the devices, or the meeting place is missing.
        LoadError: the other processes did not come.
    """

    def __init__(
        self,
        jax_seed: int,
        n_model_shards: int = 1,
        verbose: bool = True,
        workdir: str | os.PathLike[str] | None = None,
        n_processes: int | None = None,
        host0_address: str | None = None,
        host0_port: int | None = None,
        process_id: int | None = None,
        n_local_devices: int | None = None,
    ) -> None:
        if n_processes is None:
            place = distributed.slurm_place()
            if place is not None:
                n_processes, rank, host = place
                process_id = rank if process_id is None else process_id
                host0_address = host if host0_address is None else host0_address
        n_processes = n_processes or 1
        if n_processes > 1 and not jax.distributed.is_initialized():
            if host0_address is None or process_id is None:
                raise ConfigError(
                    "several processes need a place to meet",
                    facts=[
                        ("n_processes", str(n_processes)),
                        ("host0_address", str(host0_address)),
                        ("process_id", str(process_id)),
                    ],
                    tries=[('host0_address="127.0.0.1", process_id=0', "on the first of them")],
                    slug="mesh-join",
                )
            address = f"{host0_address}:{host0_port or PORT}"
            distributed.join(address, n_processes, process_id, n_local_devices)
        self._seed = jax_seed
        self._rng = jax.random.PRNGKey(jax_seed)
        self._verbose = verbose
        self._workdir = None if workdir is None else os.fspath(workdir)
        self._logger = logging.getLogger("foretell_jax")
        devices = jax.devices()
        if n_local_devices is not None and n_processes == 1:
            devices = devices[:n_local_devices]
        self._mesh = make_mesh(full_axes(None, n_model_shards, len(devices)), devices)

    @property
    def mesh(self) -> Mesh:
        """The mesh, axes ``dp`` and ``mp``; never None."""
        return self._mesh

    @property
    def workdir(self) -> str | None:
        """Folder for checkpoints."""
        return self._workdir

    @property
    def verbose(self) -> bool:
        """Whether progress is shown."""
        return self._verbose

    @property
    def n_members(self) -> int:
        """Processes the rows of a batch are shared between."""
        return max(1, int(self._mesh.devices.shape[0]) // row_shares(self._mesh))

    @property
    def member(self) -> int:
        """Which share of the rows is this process's."""
        first = next(
            position[0]
            for position, device in np.ndenumerate(self._mesh.devices)
            if device.process_index == jax.process_index()
        )
        return int(first) // row_shares(self._mesh)

    def get_local_global_micro_batch_size(self, per_device_batch_size: int) -> tuple[int, int]:
        """Rows of one step in this process, and in all of them.

        Args:
            per_device_batch_size: Rows of one position along ``dp``.

        Raises:
            ConfigError: it is not a positive number.
        """
        if per_device_batch_size < 1:
            raise ConfigError(
                "a batch has at least one row for each device",
                facts=[("expected", "1 or more"), ("got", str(per_device_batch_size))],
                slug="plan-batch",
            )
        local = per_device_batch_size * row_shares(self._mesh)
        return local, local * self.n_members

    def get_model_input_batches(
        self,
        examples: Iterable[Any],
        per_device_batch_size: int,
        collate_fn: Callable[[list[Any]], Any],
        shuffle: bool,
        shuffle_rng: Any,
        desc: str | None,
        is_train: bool = False,
        accumulate_grad_batches: int | None = None,
    ) -> Iterator[Any]:
        """Collated batches of this process's rows, whole batches only.

        Rows that do not fill a batch are left out, as redco does, with a warning that says how
        many; :class:`~foretell_jax.Predictor` pads and masks them instead.

        Args:
            examples: All examples, the same on every process.
            per_device_batch_size: Rows of one position along ``dp``.
            collate_fn: Examples to inputs.
            shuffle: Whether they come in an order drawn with ``shuffle_rng``.
            shuffle_rng: A JAX key, the same on every process.
            desc, is_train, accumulate_grad_batches: Accepted for redco's sake.
        """
        local, whole = self.get_local_global_micro_batch_size(per_device_batch_size)
        rows = list(examples)
        if shuffle:
            order = np.asarray(jax.random.permutation(shuffle_rng, len(rows)))
            rows = [rows[at] for at in order.tolist()]
        left = len(rows) % whole
        if left:
            warnings.warn(
                f"{left} of {len(rows)} examples do not fill a batch of {whole} and are left out",
                stacklevel=2,
            )
        start = self.member * local
        return (
            collate_fn(rows[at + start : at + start + local])
            for at in range(0, len(rows) - left, whole)
        )

    def get_sharding_rules(self, params_shape_or_params: Any) -> list[Any] | None:
        """Rules made from the names and shapes of the parameters; None with one model shard.

        Returns:
            ``(expressions, PartitionSpec)`` pairs.
        """
        shards = int(self._mesh.shape["mp"])
        if shards == 1:
            return None
        rules = automatic_rules(take_apart(params_shape_or_params).shapes(), shards)
        return [(rule.path, jax.sharding.PartitionSpec(*rule.spec)) for rule in rules]

    def get_params_spec(self, params_shape_or_params: Any, params_sharding_rules: Any) -> Any:
        """The partition spec of every parameter, in the tree of the parameters.

        Args:
            params_shape_or_params: Any pytree of arrays or of shapes and dtypes.
            params_sharding_rules: Rules, a tree of them for several sub-models, or None:
                everything is replicated.

        Raises:
            ConfigError: a parameter that no rule takes, or a spec that does not fit one.
        """
        return specs_for(params_shape_or_params, params_sharding_rules, self._mesh)

    def shard_params(self, params: Any, params_spec: Any) -> Any:
        """The parameters on their devices, each device holding its part."""
        return place_tree(params, shardings_for(params_spec, self._mesh))

    def run_model_step(self, step_fn: Callable[..., Any], input_args: Iterable[Any]) -> Any:
        """Call ``step_fn(*input_args)`` with the mesh in force."""
        with jax.set_mesh(self._mesh):
            return step_fn(*input_args)

    def gen_rng(self) -> Any:
        """A new JAX key, the same on every process."""
        self._rng, new = jax.random.split(self._rng)
        return new

    def gen_model_step_rng(self) -> Any:
        """A new JAX key for one step of the model; rows get keys of their own from it."""
        return self.gen_rng()

    def log_info(self, info: Any, title: str | None = None, step: int | None = None) -> None:
        """Log a message, on the first process alone."""
        if self._verbose and jax.process_index() == 0:
            where = "" if step is None else f" (step {step})"
            self._logger.info("%s%s%s", f"{title}: " if title else "", info, where)

    def save_ckpt(
        self,
        ckpt_dir: str | os.PathLike[str],
        params: Any,
        opt_state: Any = None,
        float_dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        """Save parameters, the state of the random keys and any further plain values.

        Args:
            ckpt_dir: Folder to make; below ``workdir`` it becomes the last checkpoint.
            params: Any pytree of arrays.
            opt_state: Any pytree of arrays, kept beside them.
            float_dtype: What floats are cast to.
            **kwargs: Plain values for ``info.json``.
        """
        checkpoints.save(ckpt_dir, params, opt_state, self._rng, float_dtype, kwargs)
        if self._workdir is not None:
            checkpoints.remember(self._workdir, ckpt_dir)

    def load_ckpt(
        self,
        ckpt_dir: str | os.PathLike[str],
        params_sharding_rules: Any = None,
        optimizer: Any = None,
        float_dtype: Any = None,
        load_params: bool = True,
        load_opt_state: bool = True,
        update_rng: bool = False,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Load what :meth:`save_ckpt` (redco's or this one) saved, straight into its sharding.

        Args:
            ckpt_dir: The folder.
            params_sharding_rules: As in :meth:`get_params_spec`.
            optimizer: Gives the structure of the optimizer's state; without one it comes as
                plain nested containers, and only when it was saved.
            float_dtype: What floats are cast to.
            load_params, load_opt_state: What to load.
            update_rng: Whether the state of the random keys is taken over.

        Returns:
            ``{"params": …, "opt_state": …}``, None for what is not there, and the plain values.

        Raises:
            LoadError: there is no such folder, or it cannot be read.
        """
        found, info = checkpoints.load(
            ckpt_dir,
            self._mesh,
            params_sharding_rules,
            optimizer,
            float_dtype,
            load_params=load_params,
            load_opt_state=load_opt_state,
        )
        if update_rng and "rng" in info:
            self._rng = jax.numpy.asarray(info["rng"], jax.numpy.uint32)
        return found, info

    def load_last_ckpt(
        self, params_sharding_rules: Any = None, optimizer: Any = None, **kwargs: Any
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Load the checkpoint saved last below ``workdir``; ``(None, None)`` when there is none."""
        last = None if self._workdir is None else checkpoints.last(self._workdir)
        if last is None:
            return None, None
        return self.load_ckpt(last, params_sharding_rules, optimizer, **kwargs)
