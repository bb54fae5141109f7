"""``Predictor``: a function over a list of examples, under redco's names."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any

import jax
import numpy as np
from foretell.errors import ShapeMismatch
from foretell.rows import row_keys
from jax.sharding import Mesh

from foretell_jax.collect import start_copies, to_host
from foretell_jax.distributed import gather_lists
from foretell_jax.door.deployer import Deployer
from foretell_jax.door.progress import counting
from foretell_jax.door.windows import Window, windows
from foretell_jax.functions import as_call
from foretell_jax.inputs import check_inputs
from foretell_jax.mesh import shardings_for
from foretell_jax.placing import place_tree
from foretell_jax.programs import Programs
from foretell_jax.randomness import apply
from foretell_jax.trees import structs

AHEAD = 2
"""Windows on the devices while one is being collected."""


class Predictor:
    """Predicts examples of any kind, sharded over the deployer's mesh.

    Args:
        deployer: The devices.
        collate_fn: Examples (a list) to inputs: any nest of arrays, a row for each example.
        pred_fn: ``pred_fn(rng, params, batch)``, or without ``rng``. Where it uses its ``rng`` it
            is called row by row, each with a key of its own and a batch dimension of 1.
        output_fn: Predictions of real rows (host arrays) to a list, one item a row; by default
            the rows of every array, in the same nest.
        params_sharding_rules: Rules, a tree of them for several sub-models, or None: every device
            holds all parameters.
    """

    def __init__(
        self,
        deployer: Deployer,
        collate_fn: Callable[[list[Any]], Any],
        pred_fn: Callable[..., Any],
        output_fn: Callable[[Any], list[Any]] | None = None,
        params_sharding_rules: Any = None,
    ) -> None:
        self._deployer = deployer
        self._collate_fn = collate_fn
        self._call = as_call(pred_fn, "pred_fn")
        self._output_fn = default_output_fn if output_fn is None else output_fn
        self._rules = params_sharding_rules
        self._programs: Programs | None = None

    @property
    def mesh(self) -> Mesh:
        """The mesh, axes ``dp`` and ``mp``; never None."""
        return self._deployer.mesh

    @property
    def compile_count(self) -> int:
        """Programs compiled so far: one for each shape of batch and tree of parameters."""
        return 0 if self._programs is None else self._programs.compiled.count

    @property
    def compile_seconds(self) -> float:
        """Seconds spent tracing and compiling them."""
        return 0.0 if self._programs is None else self._programs.compiled.seconds

    def setup_running_step(self, dummy_batch: Any, params_shape_or_params: Any) -> None:
        """Check a batch and parameters against the mesh and the rules, before anything is run.

        Optional, as every new shape is compiled when it is met.

        Args:
            dummy_batch: A nest of arrays as ``collate_fn`` gives it.
            params_shape_or_params: The parameters, or their shapes and dtypes.

        Raises:
            ConfigError: the rules do not fit the parameters.
            ShapeMismatch: the batch has arrays of different lengths, or no numbers.
        """
        leaves = jax.tree.leaves(_plain(dummy_batch))
        check_inputs(_plain(dummy_batch), len(leaves[0]) if leaves else 0)
        self._deployer.get_params_spec(structs(params_shape_or_params), self._rules)
        self._prepared()

    def predict(
        self,
        examples: Iterable[Any],
        per_device_batch_size: int,
        params: Any,
        params_replicated: bool = False,
        params_sharded: bool = False,
        desc: str | None = None,
    ) -> list[Any]:
        """Predictions of all examples, one item an example, in their order.

        With several processes every one of them is given all examples, computes its share, and
        gets the whole list; :meth:`stream` leaves each with its own.

        Args:
            examples: A list, tuple, generator, …; read once.
            per_device_batch_size: Rows of one position along ``dp``.
            params: Any pytree of arrays.
            params_replicated: Whether every array has a leading axis over the local devices, as
                ``flax.jax_utils.replicate`` gives it.
            params_sharded: Whether they are on their devices already.
            desc: What progress is called.

        Raises:
            ShapeMismatch: ``output_fn`` returned another number of items than it was given rows.
        """
        pairs = self._indexed(
            examples, per_device_batch_size, params, params_replicated, params_sharded, desc
        )
        if self._deployer.n_members == 1:
            return [item for _, items in pairs for item in items]
        mine = list(pairs)
        found = sorted(
            (pair for part in gather_lists(mine) for pair in part), key=lambda pair: pair[0]
        )
        # Model shards may span processes, so that several have the same rows.
        return [item for _, items in dict(found).items() for item in items]

    def stream(
        self,
        examples: Iterable[Any],
        per_device_batch_size: int,
        params: Any,
        params_replicated: bool = False,
        params_sharded: bool = False,
        desc: str | None = None,
        *,
        indices: bool = False,
    ) -> Iterator[Any]:
        """Predictions one after the other, as they come; no more than a few windows are held.

        With several processes each yields the predictions of its own rows and nothing is gathered;
        ``indices=True`` says which they are. All of them must iterate to the end.

        Args:
            examples, per_device_batch_size, params, params_replicated, params_sharded, desc: As in
                :meth:`predict`.
            indices: Whether to yield ``(index of the example, prediction)``.
        """
        for start, items in self._indexed(
            examples, per_device_batch_size, params, params_replicated, params_sharded, desc
        ):
            yield from enumerate(items, start) if indices else items

    def _indexed(
        self,
        examples: Iterable[Any],
        per_device_batch_size: int,
        params: Any,
        replicated: bool,
        sharded: bool,
        desc: str | None,
    ) -> Iterator[tuple[int, list[Any]]]:
        """(index of the first, items) of every window of this process, at least one row each."""
        deployer = self._deployer
        local, _ = deployer.get_local_global_micro_batch_size(per_device_batch_size)
        bound = self._prepared().bind(self._placed(params, replicated, sharded))
        seed = _seed_of(deployer.gen_model_step_rng())
        members = deployer.n_members
        cut = windows(examples, local, members, deployer.member)

        def start(window: Window) -> Any:
            inputs = _plain(self._collate_fn(window.examples))

            def extras(name: str) -> np.ndarray:
                if name == "keys":
                    return row_keys(seed, window.rows)
                return window.rows if name == "rows" else window.mask

            outputs = bound.launch(inputs, local, extras)
            start_copies(outputs)
            return outputs

        total = len(examples) if isinstance(examples, Sized) else None
        with counting(desc, total, deployer.verbose) as advance:
            for window, outputs in overlapped(cut, start):
                advance(window.real * members)
                predictions = to_host(outputs, window.real)
                if window.real:
                    yield window.start, self._items(predictions, window.real)

    def _prepared(self) -> Programs:
        if self._programs is None:
            call = self._call
            self._programs = Programs(
                lambda params, keys, rows, mask, inputs: apply(call, keys, params, inputs, mask),
                self.mesh,
            )
        return self._programs

    def _placed(self, params: Any, replicated: bool, sharded: bool) -> Any:
        if sharded:
            return params
        if replicated:
            params = first_replica(params)
        specs = self._deployer.get_params_spec(params, self._rules)
        return place_tree(params, shardings_for(specs, self.mesh))

    def _items(self, predictions: Any, rows: int) -> list[Any]:
        items = self._output_fn(predictions)
        if not isinstance(items, list) or len(items) != rows:
            got = f"{len(items)} items" if isinstance(items, list) else type(items).__name__
            raise ShapeMismatch(
                "output_fn must return one item for every row",
                facts=[("expected", f"a list of {rows}"), ("got", got)],
                tries=[("return None for a row without a result", "and filter afterwards")],
                slug="output-length",
            )
        return items


def overlapped(
    cut: Iterator[Window], start: Callable[[Window], Any]
) -> Iterator[tuple[Window, Any]]:
    """Start windows ahead of the one that is asked for.

    A start returns before the devices are done, so they compute while the host makes the next
    windows and works through the last one. A thread for that made small models slower: what the
    host does here holds Python's lock anyway.
    """
    waiting: deque[tuple[Window, Any]] = deque()
    for window in cut:
        waiting.append((window, start(window)))
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    yield from waiting


def default_output_fn(preds: Any) -> list[Any]:
    """The rows of every array, in the same nest: one item a row.

    Args:
        preds: A nest of arrays with as many rows each.
    """
    if isinstance(preds, np.ndarray):
        return list(preds)
    if type(preds) is dict and all(isinstance(part, np.ndarray) for part in preds.values()):
        names = tuple(preds)
        if len(names) == 1:
            (name,) = names
            return [{name: row} for row in preds[name]]
        columns = zip(*preds.values(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in columns]
    leaves, structure = jax.tree.flatten(preds)
    return [structure.unflatten(row) for row in zip(*leaves, strict=True)]


def first_replica(params: Any) -> Any:
    """Parameters without their leading axis over the local devices, where every one has it."""
    count = jax.local_device_count()
    leaves = jax.tree.leaves(params)
    if not leaves or any(not np.ndim(leaf) or len(leaf) != count for leaf in leaves):
        return params
    return jax.tree.map(lambda leaf: leaf[0], params)


def _plain(batch: Any) -> Any:
    """A batch whose mappings of any class (tokenizers return their own) are dicts."""
    if isinstance(batch, Mapping):
        return {name: _plain(value) for name, value in batch.items()}
    return batch


def _seed_of(key: Any) -> int:
    """A whole number from a JAX key, the same on every process."""
    if jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    words = np.asarray(key, np.uint32).reshape(-1)
    return int.from_bytes(words.tobytes(), sys.byteorder) & 0xFFFFFFFFFFFFFFFF
