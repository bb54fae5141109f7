"""What the built-in writers share: checks of a plan and of the arrays they are handed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from foretell.abc.writer import WriterPlan
from foretell.errors import ForetellError, OutputError, ShapeMismatch, StorageError, StoreError
from foretell.outputs import as_array
from foretell.plan import check_outputs
from foretell.store.objects import ObjectStore, Stored
from foretell.types import Arrays, Chunk, OutputSpec, Receipt

NUMBERS = frozenset(
    {
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    }
)
"""Fixed-size dtypes every built-in writer stores."""


def check_plan(plan: WriterPlan, *, ragged: bool, reserved: Sequence[str] = ()) -> None:
    """Refuse what no built-in writer, or not this one, can store.

    Args:
        plan: The plan.
        ragged: Whether dtype ``json`` is fine.
        reserved: Output names this writer needs for itself.

    Raises:
        OutputError: naming the output and what to do.
    """
    check_outputs(plan.outputs)
    if plan.chunk_rows % plan.parts:
        raise OutputError(
            "a chunk cannot be cut into equal parts",
            facts=[("chunk", f"{plan.chunk_rows} rows"), ("parts", str(plan.parts))],
            tries=[(f"--set schedule.chunk={plan.parts * (plan.part_rows + 1)}", "")],
            slug="output-parts",
        )
    for spec in plan.outputs:
        _check_dtype(spec, ragged)
        _check_shape(spec)
        if spec.name in reserved:
            raise OutputError(
                f"the output name {spec.name!r} is reserved by this writer",
                facts=[("reserved", ", ".join(reserved))],
                tries=[("rename it in postprocess", "")],
                slug="output-reserved",
            )


def _check_dtype(spec: OutputSpec, ragged: bool) -> None:
    if spec.dtype in NUMBERS or spec.dtype == "str" or (spec.dtype == "json" and ragged):
        return
    if spec.dtype == "json":
        raise OutputError(
            f"the output {spec.name!r} has another shape in every row",
            facts=[("output", spec.name), ("stored as", "arrays of one shape")],
            tries=[
                ("--set writer.kind=jsonl", "one JSON object a row"),
                ("--set writer.kind=parquet", "one column, JSON text"),
                ("pad it in postprocess", "to one shape"),
            ],
            slug="output-ragged",
        )
    raise OutputError(
        f"the output {spec.name!r} has a dtype that cannot be stored",
        facts=[("got", spec.dtype), ("allowed", ", ".join(sorted(NUMBERS)) + ", str")],
        tries=[("convert it in postprocess", "")],
        slug="output-dtype",
    )


def _check_shape(spec: OutputSpec) -> None:
    if 0 in spec.shape:
        raise OutputError(
            f"the output {spec.name!r} holds no values",
            facts=[("shape of a row", str(spec.shape))],
            tries=[("--set predictor.outputs=[…]", "leave it out")],
            slug="output-shape",
        )


def check_arrays(specs: Sequence[OutputSpec], arrays: Arrays, valid: np.ndarray) -> Arrays:
    """The arrays in the order of the plan, C-contiguous, native byte order.

    Raises:
        ShapeMismatch: a name, length, shape or dtype is not the planned one.
    """
    wanted = [spec.name for spec in specs]
    if set(wanted) != set(arrays):
        raise ShapeMismatch(
            "other outputs than planned were handed to the writer",
            facts=[("expected", ", ".join(wanted)), ("got", ", ".join(arrays))],
        )
    checked: Arrays = {}
    for spec in specs:
        array = as_array(spec.name, arrays[spec.name], spec)
        if len(array) != len(valid):
            raise ShapeMismatch(
                "an output has another number of rows than its chunk",
                facts=[
                    ("output", spec.name),
                    ("expected", f"{len(valid)} rows"),
                    ("got", f"{len(array)} rows"),
                ],
            )
        dtype = object if spec.dtype in ("str", "json") else np.dtype(spec.dtype)
        checked[spec.name] = np.ascontiguousarray(array, dtype=dtype)
    return checked


def check_valid(valid: np.ndarray, rows: Chunk) -> np.ndarray:
    """``valid`` as uint8, one for each row.

    Raises:
        ShapeMismatch: another length or dtype.
    """
    if valid.shape != (len(rows),) or valid.dtype != np.uint8:
        raise ShapeMismatch(
            "valid does not fit the rows",
            facts=[
                ("expected", f"uint8 ({len(rows)},)"),
                ("got", f"{valid.dtype} {valid.shape}"),
            ],
        )
    return np.ascontiguousarray(valid)


def cut(arrays: Mapping[str, np.ndarray], start: int, stop: int) -> Arrays:
    """Rows ``start`` to ``stop`` of every array."""
    return {name: array[start:stop] for name, array in arrays.items()}


def put(objects: ObjectStore, key: str, data: bytes | memoryview) -> Stored:
    """Store a data object, and have its store forget what it keeps for the receipt."""
    objects.put(key, data)
    return objects.taken(key)


def receipt(stored: Sequence[Stored]) -> Receipt:
    """The receipt for these objects."""
    return Receipt(tuple(s.size for s in stored), tuple(s.crc for s in stored))


def stored_or_none(objects: ObjectStore, key: str) -> bytes | None:
    """An object's bytes, or None when there is none."""
    try:
        return objects.get(key)
    except FileNotFoundError:
        return None


def undecodable(keys: Sequence[str], chunk: Chunk, cause: BaseException) -> StoreError:
    """The error for stored bytes that are not what this writer wrote."""
    facts = [("chunk", str(chunk.id)), ("object", ", ".join(keys))]
    if isinstance(cause, ForetellError):
        facts = [*dict([*facts, *cause.facts]).items(), ("cause", cause.message)]
    else:
        facts.append(("cause", f"{type(cause).__name__}: {cause}"))
    return StoreError(
        "a stored chunk cannot be read",
        facts=facts,
        tries=[("sdk verify RUN --requeue", "computes it again")],
        slug="store-damaged",
    )


@contextmanager
def decoding(keys: Sequence[str], chunk: Chunk) -> Iterator[None]:
    """Turn whatever a decoder raises into a :class:`StoreError` that names chunk and objects.

    What the storage itself raises passes unchanged: an unreachable store is not a damaged one.
    """
    try:
        yield
    except (StorageError, MemoryError):
        raise
    except Exception as error:
        raise undecodable(keys, chunk, error) from error
