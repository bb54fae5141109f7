"""A function compiled once for each shape of batch, and run without waiting for the device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from foretell.errors import ShapeMismatch
from jax.sharding import Mesh, NamedSharding

from foretell_jax.inputs import canonical, check_inputs, fitting, fitting_rows
from foretell_jax.mesh import by_rows, everywhere
from foretell_jax.randomness import depends_on

Function = Callable[[Any, Any, Any, Any, Any], Any]
"""``function(params, keys, rows, mask, inputs)``, traced; all but ``params`` have ``B`` rows."""

_EXTRAS = ("keys", "rows", "mask")


@dataclass(slots=True)
class Compiled:
    """How often and how long was compiled, for the run's record.

    Attributes:
        count: Programs.
        seconds: Tracing, lowering and compiling them, all together.
        shapes: Rows of the batch of each.
    """

    count: int = 0
    seconds: float = 0.0
    shapes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Program:
    """One compiled program.

    Attributes:
        run: Takes the parameters, what is kept and what is given away.
        extras: Which of keys, rows and mask it wants.
        donated: Positions of the input leaves that are given away.
        finite_rows: Whether it wants ``rows``, which must then fit 32 bits.
    """

    run: Any
    extras: tuple[str, ...]
    donated: frozenset[int]


class Programs:
    """Compiles a function for what it meets and remembers the programs.

    Args:
        function: What is compiled.
        mesh: Rows are split over its axis ``dp``.
        replicated: Whether every process needs all rows of the outputs.
        donate: Whether input buffers are given to the program where an output can use them.
        floats: Dtype that float inputs are cast to; small float outputs become float32.
    """

    def __init__(
        self,
        function: Function,
        mesh: Mesh,
        *,
        replicated: bool = False,
        donate: bool = True,
        floats: str | None = None,
    ) -> None:
        self.mesh = mesh
        self.compiled = Compiled()
        self._function = function
        self._rows = by_rows(mesh)
        self._out = everywhere(mesh) if replicated else self._rows
        self._donate = donate
        self._floats = floats
        self.known: dict[Any, _Program] = {}
        self._lock = threading.Lock()

    def bind(self, params: Any) -> BoundPrograms:
        """The programs for one tree of placed parameters."""
        return BoundPrograms(self, params)

    def program(self, key: Any, params: Any, leaves: list[Any], structure: Any) -> _Program:
        """The program for inputs like these, compiled when they are new."""
        found = self.known.get(key)
        if found is None:
            with self._lock:
                found = self.known.get(key)
                if found is None:
                    clock = time.perf_counter()
                    found = self._compile(params, leaves, structure)
                    self.compiled.seconds += time.perf_counter() - clock
                    self.compiled.count += 1
                    self.compiled.shapes.append(len(leaves[0]) if leaves else 0)
                    self.known[key] = found
        return found

    def _compile(self, params: Any, leaves: list[Any], structure: Any) -> _Program:
        shares = _global_rows(self._rows, len(leaves[0]))
        shapes = [
            jax.ShapeDtypeStruct((shares, *leaf.shape[1:]), canonical(leaf.dtype))
            for leaf in leaves
        ]
        asked = {
            "keys": jax.ShapeDtypeStruct((shares, 2), jnp.uint32),
            "rows": jax.ShapeDtypeStruct((shares,), jnp.int32),
            "mask": jax.ShapeDtypeStruct((shares,), jnp.bool_),
        }
        of_params = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding),
            params,
        )

        def whole(extras: dict[str, Any], params: Any, leaves: list[Any]) -> Any:
            inputs = structure.unflatten([_cast_in(leaf, self._floats) for leaf in leaves])
            outputs = self._function(params, extras["keys"], extras["rows"], extras["mask"], inputs)
            return jax.tree.map(lambda leaf: _cast_out(leaf, self._floats), outputs)

        traced, out = jax.make_jaxpr(whole, return_shape=True)(asked, of_params, shapes)
        _check_rows(out, shares)
        names = sorted(asked)  # the order of a mapping's leaves
        extras = tuple(name for at, name in enumerate(names) if depends_on(traced.jaxpr, at))
        donated = _donatable(shapes, jax.tree.leaves(out)) if self._donate else frozenset()

        def slim(given: dict[str, Any], params: Any, kept: list[Any], freed: list[Any]) -> Any:
            unused = {name: jnp.zeros(struct.shape, struct.dtype) for name, struct in asked.items()}
            queues = {False: iter(kept), True: iter(freed)}
            ordered = [next(queues[at in donated]) for at in range(len(leaves))]
            return whole(unused | given, params, ordered)

        shardings = jax.tree.map(lambda leaf: leaf.sharding, of_params)
        # On a single device everything goes where the parameters are, and calls are faster.
        placing: dict[str, Any] = {}
        if self.mesh.devices.size > 1:
            placing = {
                "in_shardings": (self._rows, shardings, self._rows, self._rows),
                "out_shardings": self._out,
            }
        jitted = jax.jit(slim, donate_argnums=(3,), **placing)
        lowered = jitted.lower(
            {name: asked[name] for name in extras},
            of_params,
            [shape for at, shape in enumerate(shapes) if at not in donated],
            [shape for at, shape in enumerate(shapes) if at in donated],
        )
        lowered.compile()  # kept by ``jitted``, whose calls take less time than the program's own
        return _Program(jitted, extras, donated)


class BoundPrograms:
    """Programs with their parameters.

    Args:
        programs: What compiles and remembers.
        params: A tree of placed arrays.
    """

    def __init__(self, programs: Programs, params: Any) -> None:
        self._programs = programs
        self._params = params
        leaves, structure = jax.tree.flatten(params)
        self._signature = (
            structure,
            tuple((leaf.shape, leaf.dtype, leaf.sharding) for leaf in leaves),
        )
        self._single = programs.mesh.devices.size == 1
        self._local = jax.process_count() == 1

    def launch(self, inputs: Any, size: int, extras: Callable[[str], np.ndarray]) -> Any:
        """Start the program for these inputs; the device may still be at work on return.

        Args:
            inputs: A nest of host arrays, the rows of this process on axis 0.
            size: Rows of them, ``n``.
            extras: Gives ``keys`` (uint32 ``(n, 2)``), ``rows`` (int64 ``(n,)``) or ``mask``
                (bool ``(n,)``) where the function wants them.

        Returns:
            The predictions as JAX arrays.

        Raises:
            ShapeMismatch: an input has no such row axis or is not numeric, or an output has not.
        """
        leaves, structure = jax.tree.flatten(inputs)
        arrays = [np.asarray(leaf) for leaf in leaves]
        key = (
            structure,
            tuple((array.shape, array.dtype) for array in arrays),
            self._signature,
        )
        programs = self._programs
        program = programs.known.get(key)
        if program is None:
            check_inputs(inputs, size)
            program = programs.program(key, self._params, arrays, structure)
        given = {}
        for name in program.extras:
            value = extras(name)
            given[name] = self._put(fitting_rows(value) if name == "rows" else value)
        placed = [self._put(fitting(array)) for array in arrays]
        if program.donated:
            kept = [leaf for at, leaf in enumerate(placed) if at not in program.donated]
            freed = [leaf for at, leaf in enumerate(placed) if at in program.donated]
            return program.run(given, self._params, kept, freed)
        return program.run(given, self._params, placed, [])

    def _put(self, array: np.ndarray) -> Any:
        sharding = self._programs._rows
        if self._local:
            return array  # the program's own fast path takes it to the devices
        return jax.make_array_from_process_local_data(sharding, array)


def _check_rows(out: Any, rows: int) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(out):
        if not leaf.shape or leaf.shape[0] != rows:
            raise ShapeMismatch(
                "the model returned another number of rows than it was given",
                facts=[
                    ("where", jax.tree_util.keystr(path) or "output"),
                    ("expected", f"{rows} rows"),
                    ("got", f"shape {tuple(leaf.shape)}"),
                ],
            )


def _global_rows(sharding: NamedSharding, local: int) -> int:
    """Rows of a batch over all processes, from the rows of this one."""
    mesh = sharding.mesh
    if jax.process_count() == 1:
        return local
    dp = mesh.devices.shape[0]
    mine = {
        position[0]
        for position, device in np.ndenumerate(mesh.devices)
        if device.process_index == jax.process_index()
    }
    return int(local * dp // len(mine))


def _cast_in(leaf: Any, floats: str | None) -> Any:
    if floats is not None and jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf.astype(floats)
    return leaf


def _cast_out(leaf: Any, floats: str | None) -> Any:
    """Floats that NumPy has no type for, and those of a chosen precision, become float32."""
    array = jnp.asarray(leaf)
    foreign = np.dtype(array.dtype).kind == "V"
    if jnp.issubdtype(array.dtype, jnp.floating) and (foreign or floats is not None):
        return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array
    return array


def _donatable(inputs: list[Any], outputs: list[Any]) -> frozenset[int]:
    """Inputs whose buffer some output of the same shape and dtype can take over."""
    free = [(out.shape, np.dtype(out.dtype)) for out in outputs]
    found = set()
    for at, leaf in enumerate(inputs):
        like = (leaf.shape, np.dtype(leaf.dtype))
        if like in free:
            free.remove(like)
            found.add(at)
    return frozenset(found)
