"""Where parameters come from: their shapes first, then each part straight to its device."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from foretell.errors import LoadError

from foretell_jax.placing import place_tree, target_dtype
from foretell_jax.trees import structs

FORMATS = ("safetensors", "orbax", "msgpack")


class Parameters(ABC):
    """A tree of parameters that may not be in memory yet."""

    @abstractmethod
    def shapes(self) -> Any:
        """The tree with a shape and dtype for every array; reads no values where it need not."""

    @abstractmethod
    def load(self, shardings: Any, floats: str | None = None) -> Any:
        """The tree on its devices.

        Args:
            shardings: One for every array.
            floats: Dtype that floats are cast to; None leaves them alone.

        Raises:
            LoadError: the file cannot be read.
        """


class InMemory(Parameters):
    """A tree of arrays."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree

    def shapes(self) -> Any:
        return structs(jax.tree.map(_as_array, self._tree))

    def load(self, shardings: Any, floats: str | None = None) -> Any:
        return place_tree(jax.tree.map(_as_array, self._tree), shardings, floats)


class Made(Parameters):
    """What a function of a random key makes: traced, so that each device makes its own part."""

    def __init__(self, make: Callable[[Any], Any], seed: int) -> None:
        self._make = make
        self._seed = seed

    def shapes(self) -> Any:
        return jax.eval_shape(self._make, jax.random.PRNGKey(self._seed))

    def load(self, shardings: Any, floats: str | None = None) -> Any:
        def made(key: Any) -> Any:
            return jax.tree.map(
                lambda leaf: leaf.astype(target_dtype(leaf.dtype, floats)), self._make(key)
            )

        return jax.jit(made, out_shardings=shardings)(jax.random.PRNGKey(self._seed))


def _as_array(leaf: Any) -> Any:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return leaf
    return jax.numpy.asarray(leaf)


def from_function(function: Any, options: Mapping[str, Any], seed: int) -> Parameters:
    """Parameters that a function gives.

    A function with a parameter called ``rng`` is an initialiser: it is traced, with a key of the
    job's seed. Any other is called once and may read what it likes.

    Args:
        function: Called with those of ``options`` it has parameters for.
        options: The predictor's options.
        seed: The job's seed.
    """
    names = inspect.signature(function).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in names.values())
    given = {key: value for key, value in options.items() if anything or key in names}
    if "rng" in names:
        return Made(lambda key: function(rng=key, **given), seed)
    return InMemory(function(**given))


def format_of(path: Path) -> str:
    """The format of a checkpoint, by its name or by what a folder holds.

    Raises:
        LoadError: it looks like none of them.
    """
    if path.is_dir():
        if any(path.glob("*.safetensors")):
            return "safetensors"
        if any((path / name).exists() for name in ("_METADATA", "manifest.ocdbt", "_sharding")):
            return "orbax"
        if any(path.glob("*.msgpack")):
            return "msgpack"
    elif path.suffix in (".safetensors", ".msgpack"):
        return path.suffix[1:]
    raise LoadError(
        "the format of the checkpoint is not known",
        facts=[("checkpoint", str(path)), ("known", ", ".join(FORMATS))],
        tries=[('format = "safetensors"', "say which it is"), *_pickles(path)],
        slug="load-checkpoint",
    )


def _pickles(path: Path) -> list[tuple[str, str]]:
    if path.suffix in (".pkl", ".pickle", ".pt", ".bin", ".joblib"):
        return [("save it as safetensors", "pickles are never opened: they can run anything")]
    return []


def open_parameters(path: Path, kind: str = "auto") -> Parameters:
    """Parameters in a file or folder.

    Args:
        path: A ``.safetensors`` or ``.msgpack`` file, a folder of them, or an orbax folder.
        kind: The format; ``auto`` looks.

    Raises:
        LoadError: unknown format, unreadable file, or a library that is missing.
    """
    chosen = format_of(path) if kind == "auto" else kind
    if chosen == "safetensors":
        from foretell_jax.safetensors_files import SafetensorsFiles

        return SafetensorsFiles(path)
    if chosen == "msgpack":
        from foretell_jax.msgpack_files import MsgpackFiles

        return MsgpackFiles(path)
    from foretell_jax.orbax_folder import OrbaxFolder

    return OrbaxFolder(path)
