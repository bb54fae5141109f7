"""How outputs lie in a Zarr store: chunk sizes, names of dimensions, metadata documents.

Pure functions of the plan; nothing here touches the run store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.abc.writer import WriterPlan
from foretell.errors import OutputError
from foretell.rows import dimension_names, fill_value
from foretell.types import OutputSpec

if TYPE_CHECKING:
    from zarr.abc.codec import BytesBytesCodec

VALID = "valid"
ROOT = "zarr.json"

INNER_BYTES = 2**20
"""What an inner chunk aims at: the least a reader has to fetch and decode."""

TEXT_BYTES = 64
"""Assumed size of one string."""

VALID_SPEC = OutputSpec(
    VALID,
    (),
    "uint8",
    attrs={
        "long_name": "whether a row was predicted",
        "flag_values": [0, 1, 2],
        "flag_meanings": "not_predicted predicted quarantined",
    },
)


def inner_rows(part_rows: int, batch_size: int, row_bytes: int) -> int:
    """Rows of an inner chunk: near ``INNER_BYTES``, a divisor of the shard, aligned to batches.

    Aligned means that batches hold whole inner chunks or inner chunks hold whole batches. Where the
    shard does not hold whole batches, any divisor of the shard will do.
    """
    divisors = _divisors(part_rows)
    if part_rows % batch_size == 0:
        divisors = [d for d in divisors if d % batch_size == 0 or batch_size % d == 0]
    return min(divisors, key=lambda rows: abs(math.log(rows * row_bytes / INNER_BYTES)))


def _divisors(number: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def row_bytes(spec: OutputSpec) -> int:
    """Bytes of one row of an output, decoded."""
    item = TEXT_BYTES if spec.dtype == "str" else np.dtype(spec.dtype).itemsize
    return item * math.prod(spec.shape)


def object_key(spec: OutputSpec, shard: int) -> str:
    """Key of shard ``shard`` of an output. Dots, so that a shard costs no folder of its own."""
    return f"{spec.name}/c.{shard}" + ".0" * len(spec.shape)


def check_dimensions(outputs: Sequence[OutputSpec]) -> None:
    """Refuse names of dimensions that xarray could not open.

    Raises:
        OutputError: wrong number of names, a name twice, or one name for two lengths.
    """
    for spec in outputs:
        _check_own_dimensions(spec)
    for one, other in combinations(outputs, 2):
        if _see_each_other(one, other):
            _check_lengths(one, other)


def _check_own_dimensions(spec: OutputSpec) -> None:
    names = dimension_names(spec)
    if len(names) != len(spec.shape) + 1:
        raise _bad_dimensions(spec, f"{len(spec.dims)} names for {len(spec.shape)} dimensions")
    if len(set(names)) != len(names):
        raise _bad_dimensions(spec, "a name twice")
    if len(names) > 1 and spec.name.rpartition("/")[2] in names:
        raise _bad_dimensions(spec, "one of them is the output's own name")
    if spec.name.rpartition("/")[2] == ROOT:
        raise OutputError(
            f"the output name {spec.name!r} is reserved by this writer",
            facts=[("reserved", ROOT)],
            tries=[("rename it in postprocess", "")],
            slug="output-reserved",
        )


def _see_each_other(one: OutputSpec, other: OutputSpec) -> bool:
    """Whether one output's group is the other's or lies above it: there dimensions are shared."""
    groups = sorted((one.name.rpartition("/")[0], other.name.rpartition("/")[0]), key=len)
    return groups[0] in ("", groups[1]) or groups[1].startswith(groups[0] + "/")


def _check_lengths(one: OutputSpec, other: OutputSpec) -> None:
    lengths = dict(zip(dimension_names(one)[1:], one.shape, strict=True))
    for name, length in zip(dimension_names(other)[1:], other.shape, strict=True):
        if lengths.get(name, length) != length:
            text = f"{name!r} is {lengths[name]} long in {one.name!r} and {length} here"
            raise _bad_dimensions(other, text)


def _bad_dimensions(spec: OutputSpec, why: str) -> OutputError:
    return OutputError(
        f"the dimensions of the output {spec.name!r} cannot be stored",
        facts=[("dimensions", ", ".join(dimension_names(spec))), ("because", why)],
        tries=[("name them in output_specs", "or leave the names out")],
        slug="output-dims",
    )


def compressors(level: int) -> list[BytesBytesCodec]:
    """zstd with a checksum, or a checksum alone: a flipped bit never decodes."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    return [ZstdCodec(level=level, checksum=True)] if level else [Crc32cCodec()]


def array_arguments(spec: OutputSpec, plan: WriterPlan, level: int) -> dict[str, Any]:
    """Keyword arguments of ``Group.create_array`` for one output."""
    shard = (plan.part_rows, *spec.shape)
    inner = (inner_rows(plan.part_rows, plan.batch_size, row_bytes(spec)), *spec.shape)
    return {
        "shape": (plan.n_rows, *spec.shape),
        "dtype": "string" if spec.dtype == "str" else spec.dtype,
        "chunks": inner,
        # With one inner chunk, a shard's index would be a second read for nothing.
        "shards": shard if inner != shard else None,
        "fill_value": fill_value(spec),
        "compressors": compressors(level),
        "dimension_names": dimension_names(spec),
        "chunk_key_encoding": {"name": "default", "separator": "."},
        "attributes": dict(spec.attrs),
    }


def root_attributes(plan: WriterPlan) -> dict[str, Any]:
    """What stands under ``foretell`` in the root's attributes: no times, no ids."""
    return {
        **plan.attrs,
        "format": 1,
        "complete": False,
        "rows": plan.n_rows,
        "row_offset": plan.row_offset,
        "chunk_rows": plan.chunk_rows,
    }


def documents(plan: WriterPlan, level: int, complete: bool) -> dict[str, bytes]:
    """Every metadata document of the store, the root last, consolidated.

    Args:
        plan: The plan.
        level: zstd level, 0 for none.
        complete: What the root says about the run.
    """
    made = _made_by_zarr(plan, level)
    root = json.loads(made.pop(ROOT))
    root["attributes"]["foretell"]["complete"] = complete
    root["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": {key.removesuffix("/" + ROOT): json.loads(made[key]) for key in sorted(made)},
    }
    return {**made, ROOT: json.dumps(root, indent=2).encode()}


def _made_by_zarr(plan: WriterPlan, level: int) -> dict[str, bytes]:
    import zarr
    from zarr.storage import MemoryStore

    made: dict[str, Any] = {}
    attributes = {"foretell": root_attributes(plan)}
    group = zarr.create_group(MemoryStore(made), zarr_format=3, attributes=attributes)
    for spec in (*plan.outputs, VALID_SPEC):
        group.create_array(spec.name, **array_arguments(spec, plan, level))
    return {key: bytes(value.to_bytes()) for key, value in made.items()}


def same_but_complete(stored: bytes, expected: Mapping[str, bytes]) -> bool:
    """Whether a stored root is the expected one, whatever it says of completeness."""
    try:
        found, wanted = json.loads(stored), json.loads(expected[ROOT])
        found["attributes"]["foretell"]["complete"] = False
        wanted["attributes"]["foretell"]["complete"] = False
    except (ValueError, KeyError, TypeError):
        return False
    return bool(found == wanted)
