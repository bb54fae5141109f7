"""What a run store holds, read from its metadata and its plan, without opening it as an array."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretell.store.objects import ObjectStore
    from foretell.store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """One output as stored.

    Attributes:
        name: Path below the root, ``head/logits``.
        dtype: Name of the dtype.
        shape: Whole shape, rows first.
        chunks: Smallest part that is read, rows first; empty where the format has none.
        shards: Part that is one object; empty where it is the chunk.
        dims: Dimension names.
        codecs: How values are stored, by name.
        attributes: As stored.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...] = ()
    shards: tuple[int, ...] = ()
    dims: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything a store holds.

    Attributes:
        kind: Kind of writer.
        attributes: Of the root.
        arrays: The outputs, in the order of their names.
        open_with: Python expressions that open it.
    """

    kind: str
    attributes: Mapping[str, Any]
    arrays: tuple[ArrayInfo, ...]
    open_with: tuple[str, ...]


def contents_of(snapshot: Snapshot, objects: ObjectStore, url: str) -> Contents:
    """What the store of a run holds.

    Raises:
        StoreError: the storage failed.
    """
    kind = str(snapshot.manifest.job["writer"]["kind"])
    attributes: Mapping[str, Any] = {}
    arrays: Sequence[ArrayInfo] = ()
    if kind == "zarr":
        attributes, arrays = _zarr(objects)
    if not arrays:
        arrays = _planned(snapshot)
    names = sorted(arrays, key=lambda array: array.name)
    kept = {*snapshot.plan.keep, "valid"}
    predicted = [array.name for array in names if array.name not in kept] or ["valid"]
    return Contents(kind, attributes, tuple(names), tuple(_openers(kind, url, predicted)))


def _zarr(objects: ObjectStore) -> tuple[Mapping[str, Any], list[ArrayInfo]]:
    """Root attributes and arrays from the consolidated metadata.

    Source: Zarr core specification 3.1, https://zarr-specs.readthedocs.io
    """
    try:
        root = json.loads(objects.get("zarr.json"))
        nodes = root["consolidated_metadata"]["metadata"]
        arrays = [_zarr_array(name, node) for name, node in nodes.items() if _is_array(node)]
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}, []
    return root.get("attributes", {}), arrays


def _is_array(node: Mapping[str, Any]) -> bool:
    return node.get("node_type") == "array"


def _zarr_array(name: str, node: Mapping[str, Any]) -> ArrayInfo:
    outer = tuple(node["chunk_grid"]["configuration"]["chunk_shape"])
    codecs = node["codecs"]
    inner: tuple[int, ...] = ()
    if codecs and codecs[0]["name"] == "sharding_indexed":
        inner = tuple(codecs[0]["configuration"]["chunk_shape"])
        codecs = codecs[0]["configuration"]["codecs"]
    dtype = node["data_type"]
    return ArrayInfo(
        name=name,
        dtype=str(dtype["name"] if isinstance(dtype, Mapping) else dtype),
        shape=tuple(node["shape"]),
        chunks=inner or outer,
        shards=outer if inner else (),
        dims=tuple(str(dim) for dim in node.get("dimension_names") or ()),
        codecs=tuple(str(codec["name"]) for codec in codecs),
        attributes=node.get("attributes", {}),
    )


def _planned(snapshot: Snapshot) -> list[ArrayInfo]:
    """The outputs as planned, for formats whose files are no arrays."""
    plan = snapshot.plan
    arrays = [
        ArrayInfo(spec.name, spec.dtype, (plan.n_rows, *spec.shape), dims=("sample", *spec.dims))
        for spec in plan.outputs
    ]
    return [*arrays, ArrayInfo("valid", "uint8", (plan.n_rows,), dims=("sample",))]


def _openers(kind: str, url: str, predicted: Sequence[str]) -> list[str]:
    first = predicted[0]
    nested = any("/" in name for name in predicted)
    openers = {
        "zarr": f"xarray.open_{'datatree' if nested else 'zarr'}({url!r}"
        + (', engine="zarr")' if nested else ")"),
        "parquet": f"pyarrow.dataset.dataset({url!r}, exclude_invalid_files=True)",
        "jsonl": f"pandas.concat(pandas.read_json(p, lines=True) for p in "
        f"sorted(pathlib.Path({url!r}).glob('part-*.jsonl')))",
    }
    own = f"foretell.open_run({url!r})[{first!r}][:]"
    if "://" in url:  # what libraries need beside themselves to read there, nobody knows
        return [f"foretell.open_run({url!r}).to_xarray()", own]
    return [openers[kind], own] if kind in openers else [own]
