"""Parameters in an orbax checkpoint: each device reads its own part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
from foretell.errors import LoadError

from foretell_jax.needs import need
from foretell_jax.parameters import Parameters
from foretell_jax.placing import target_dtype


class OrbaxFolder(Parameters):
    """A folder that an orbax checkpointer wrote a tree of arrays into.

    Raises:
        LoadError: orbax is not installed, or the folder is none of its own.
    """

    def __init__(self, path: Path) -> None:
        self._orbax = need("orbax.checkpoint", "an orbax checkpoint")
        self._path = path

    def shapes(self) -> Any:
        try:
            with self._orbax.PyTreeCheckpointer() as checkpointer:
                metadata = checkpointer.metadata(self._path)
        except Exception as error:
            raise _unreadable(self._path, error) from error
        tree = getattr(getattr(metadata, "item_metadata", metadata), "tree", metadata)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)

    def load(self, shardings: Any, floats: str | None = None) -> Any:
        shapes = self.shapes()
        arguments = jax.tree.map(
            lambda leaf, sharding: self._orbax.ArrayRestoreArgs(
                sharding=sharding,
                global_shape=leaf.shape,
                dtype=target_dtype(leaf.dtype, floats),
            ),
            shapes,
            shardings,
        )
        try:
            with self._orbax.PyTreeCheckpointer() as checkpointer:
                return checkpointer.restore(self._path, item=shapes, restore_args=arguments)
        except Exception as error:
            raise _unreadable(self._path, error) from error


def _unreadable(path: Path, error: Exception) -> LoadError:
    return LoadError(
        "the checkpoint cannot be read",
        facts=[
            ("folder", str(path)),
            ("cause", f"{type(error).__name__}: {error}".partition("\n")[0]),
        ],
        slug="load-checkpoint",
    )
