"""What a run store holds, read from its metadata, its plan and its ledger; no array is opened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from foretell.types import ChunkState

if TYPE_CHECKING:
    from foretell.abc.writer import Writer
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
        bytes: Stored by done chunks; None where an object holds several outputs.
        filled: Share of the rows that are predicted, 0..1.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...] = ()
    shards: tuple[int, ...] = ()
    dims: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    bytes: int | None = None
    filled: float = 0.0


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything a store holds.

    Attributes:
        kind: Kind of writer.
        attributes: Of the root.
        arrays: The outputs, in the order of their names.
        predicted: Names of those the model made; kept input columns and ``valid`` are not.
        bytes: Stored by done chunks, all outputs.
        filled: Share of the rows that are predicted, 0..1.
    """

    kind: str
    attributes: Mapping[str, Any]
    arrays: tuple[ArrayInfo, ...]
    predicted: tuple[str, ...]
    bytes: int
    filled: float


@dataclass(frozen=True, slots=True)
class Node:
    """One line of the tree of a store.

    Attributes:
        path: Below the root.
        name: Last part of the path.
        depth: 0 directly below the root.
        array: The output, None for a group.
    """

    path: str
    name: str
    depth: int
    array: ArrayInfo | None = None


def contents_of(snapshot: Snapshot, objects: ObjectStore, writer: Writer | None = None) -> Contents:
    """What the store of a run holds.

    Args:
        snapshot: The run.
        objects: Its objects; one of them is read.
        writer: Writer of the run's kind, open: tells which object belongs to which output.

    Raises:
        StoreError: the storage failed.
    """
    plan = snapshot.plan
    kind = str(snapshot.manifest.job["writer"]["kind"])
    attributes: Mapping[str, Any] = {}
    arrays: Sequence[ArrayInfo] = ()
    if kind == "zarr":
        attributes, arrays = _zarr(objects)
    if not arrays:
        arrays = _planned(snapshot)
    totals = snapshot.table.totals(plan.n_rows, plan.chunk_rows)
    filled = totals.rows_done / plan.n_rows if plan.n_rows else 1.0
    stored = {} if writer is None else bytes_by_output(snapshot, writer)
    named = sorted(arrays, key=lambda array: array.name)
    kept = {*plan.keep, "valid"}
    return Contents(
        kind=kind,
        attributes=attributes,
        arrays=tuple(replace(a, bytes=stored.get(a.name), filled=filled) for a in named),
        predicted=tuple(a.name for a in named if a.name not in kept) or ("valid",),
        bytes=totals.bytes_written,
        filled=filled,
    )


def nodes_of(contents: Contents) -> Iterator[Node]:
    """The tree of a store, depth first: every group before what is in it."""
    seen: set[str] = set()
    for array in contents.arrays:
        parts = array.name.split("/")
        for depth, name in enumerate(parts[:-1]):
            path = "/".join(parts[: depth + 1])
            if path not in seen:
                seen.add(path)
                yield Node(path, name, depth)
        yield Node(array.name, parts[-1], len(parts) - 1, array)


def bytes_by_output(snapshot: Snapshot, writer: Writer) -> dict[str, int]:
    """Bytes that done chunks store for each output, by the ledger.

    Empty for writers whose objects hold several outputs.
    """
    plan, table = snapshot.plan, snapshot.table
    names = sorted((*(spec.name for spec in plan.outputs), "valid"), key=len, reverse=True)
    if not plan.n_chunks or not table.objects_per_chunk:
        return {}
    keys = writer.objects(plan.chunk(0))
    owners = [next((n for n in names if key.startswith(f"{n}/")), None) for key in keys]
    if None in owners or len(owners) < table.objects_per_chunk:
        return {}
    columns = table.sizes[table.state == ChunkState.DONE].sum(axis=0)
    stored = dict.fromkeys(names, 0)
    for owner, count in zip(owners, columns.tolist(), strict=False):
        stored[str(owner)] += int(count)
    return stored


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
