"""Parameters in flax's msgpack files. They are decoded on the host, then go to their devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foretell.errors import LoadError

from foretell_jax.needs import need
from foretell_jax.parameters import InMemory, Parameters
from foretell_jax.trees import take_apart


class MsgpackFiles(Parameters):
    """One file, or all of a folder (what flax and transformers make of a large tree).

    The format has no table of contents, so a file is decoded whole on the host of every process,
    once; the values are let go as soon as they are on their devices.

    Raises:
        LoadError: a file cannot be decoded, or flax is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._serialization = need("flax.serialization", "a .msgpack checkpoint")
        self._files = sorted(path.glob("*.msgpack")) if path.is_dir() else [path]
        self._held: InMemory | None = None

    def shapes(self) -> Any:
        self._held = self._held or InMemory(self._decoded())
        return self._held.shapes()

    def load(self, shardings: Any, floats: str | None = None) -> Any:
        held, self._held = self._held or InMemory(self._decoded()), None
        return held.load(shardings, floats)

    def _decoded(self) -> Any:
        trees = [self._one(file) for file in self._files]
        if len(trees) == 1:
            return trees[0]
        whole: dict[str, Any] = {}
        for tree in trees:
            parts = take_apart(tree)
            for path, leaf in zip(parts.paths, parts.leaves, strict=True):
                node = whole
                *above, last = [part for name in path for part in name.split("/")]
                for part in above:
                    node = node.setdefault(part, {})
                node[last] = leaf
        return whole

    def _one(self, file: Path) -> Any:
        try:
            return self._serialization.msgpack_restore(file.read_bytes())
        except Exception as error:  # msgpack has a family of its own for damaged input
            raise LoadError(
                "the checkpoint cannot be read",
                facts=[("file", str(file)), ("cause", f"{type(error).__name__}: {error}")],
                slug="load-checkpoint",
            ) from error
