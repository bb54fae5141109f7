"""Parameters in safetensors files, mapped into memory: a device's part is all that is read.

Format: https://huggingface.co/docs/safetensors, eight bytes of length, a JSON header, the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np
from foretell.errors import LoadError

from foretell_jax.needs import need
from foretell_jax.parameters import Parameters
from foretell_jax.placing import place

_DTYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


@dataclass(frozen=True, slots=True)
class _Entry:
    file: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class SafetensorsFiles(Parameters):
    """One file, or all of a folder.

    Names become a tree at ``/`` where any name has one, at ``.`` otherwise.

    Raises:
        LoadError: a file is damaged, or two hold one name.
    """

    def __init__(self, path: Path) -> None:
        need("safetensors", "a .safetensors checkpoint")
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        self._entries: dict[str, _Entry] = {}
        for file in files:
            for name, entry in _entries(file):
                if name in self._entries:
                    raise _damaged(file, f"{self._entries[name].file.name} has {name!r} as well")
                self._entries[name] = entry

    def shapes(self) -> Any:
        return _nested(
            {
                name: jax.ShapeDtypeStruct(entry.shape, entry.dtype)
                for name, entry in self._entries.items()
            }
        )

    def load(self, shardings: Any, floats: str | None = None) -> Any:
        maps: dict[Path, np.memmap[Any, Any]] = {}

        def read(entry: _Entry, sharding: Any) -> jax.Array:
            whole = maps.setdefault(entry.file, np.memmap(entry.file, np.uint8, "r"))
            count = int(np.prod(entry.shape, dtype=np.int64)) * entry.dtype.itemsize
            flat = whole[entry.offset : entry.offset + count]
            array = np.frombuffer(flat, entry.dtype).reshape(entry.shape)
            return place(lambda index: array[index], entry.shape, entry.dtype, sharding, floats)

        return jax.tree.map(read, _nested(self._entries), shardings)


def _entries(file: Path) -> Iterator[tuple[str, _Entry]]:
    from safetensors import SafetensorError, safe_open

    try:
        # The library checks sizes, offsets and overlaps; it opens without reading values.
        with safe_open(file, framework="numpy") as checked:
            names = list(checked.keys())
        with open(file, "rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            header: Mapping[str, Any] = json.loads(raw.read(length))
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(file, str(error)) from error
    for name in names:
        item = header[name]
        dtype = _DTYPES.get(item["dtype"])
        if dtype is None:
            raise _damaged(file, f"{name!r} has the unknown dtype {item['dtype']!r}")
        start = 8 + length + int(item["data_offsets"][0])
        yield name, _Entry(file, start, tuple(item["shape"]), np.dtype(dtype))


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    separator = "/" if any("/" in name for name in flat) else "."
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *above, last = name.split(separator)
        node = tree
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def _damaged(file: Path, cause: str) -> LoadError:
    return LoadError(
        "the checkpoint cannot be read",
        facts=[("file", str(file)), ("cause", cause)],
        slug="load-checkpoint",
    )
