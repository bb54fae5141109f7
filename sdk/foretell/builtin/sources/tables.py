"""What rows of an Arrow table look like to a model: columns of numpy arrays, or records.

The dtype of a column is decided once for the whole source, nulls included, and never follows from
the rows that happen to be read:

==========================  =======================  ==================================
Arrow type                  without nulls            with nulls somewhere in the source
==========================  =======================  ==================================
integer                     the same                 float64, NaN where null
float                       the same                 the same, NaN where null
boolean                     bool                     object, None where null
date, timestamp, duration   datetime64, timedelta64  the same, NaT where null
text                        object of str            object, None where null
fixed-size list, tensor     its shape and dtype      object, None where null
anything else               object                   object, None where null
==========================  =======================  ==================================

Records hold Python values, None where null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.types import Layout, SourceSpec

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """What one column becomes.

    Attributes:
        shape: Shape of one row.
        dtype: NumPy name, ``str`` for text or ``object``.
    """

    shape: tuple[int, ...]
    dtype: str

    def blank(self, rows: int) -> np.ndarray:
        """Placeholders for rows that cannot be read."""
        if self.dtype in ("str", "object"):
            filler = np.empty((rows, *self.shape), dtype=object)
            filler[...] = "" if self.dtype == "str" else None
            return filler
        return np.zeros((rows, *self.shape), dtype=self.dtype)


def column_of(kind: pa.DataType, nulls: bool) -> Column:
    """What a column of this Arrow type becomes; ``nulls`` says whether any row is null."""
    import pyarrow.types as is_a

    fixed = _fixed(kind)
    if fixed is not None:
        return Column((), "object") if nulls else fixed
    if is_a.is_dictionary(kind):
        return column_of(kind.value_type, nulls)
    if is_a.is_string(kind) or is_a.is_large_string(kind) or is_a.is_string_view(kind):
        return Column((), "object" if nulls else "str")
    if is_a.is_boolean(kind):
        return Column((), "object" if nulls else "bool")
    if is_a.is_integer(kind):
        return Column((), "float64" if nulls else str(np.dtype(kind.to_pandas_dtype())))
    if is_a.is_floating(kind):
        return Column((), str(np.dtype(kind.to_pandas_dtype())))
    if is_a.is_date(kind) or is_a.is_timestamp(kind) or is_a.is_duration(kind):
        return Column((), _time(kind))
    return Column((), "object")


def _time(kind: pa.DataType) -> str:
    import pyarrow.types as is_a

    if is_a.is_date(kind):
        return "datetime64[D]" if is_a.is_date32(kind) else "datetime64[ms]"
    name = "timedelta64" if is_a.is_duration(kind) else "datetime64"
    return f"{name}[{kind.unit}]"


def _fixed(kind: pa.DataType) -> Column | None:
    """Shape and dtype of nested fixed-size lists and tensors of numbers; None for other types."""
    import pyarrow as pa
    import pyarrow.types as is_a

    shape: list[int] = []
    while is_a.is_fixed_size_list(kind) or isinstance(kind, pa.FixedShapeTensorType):
        if isinstance(kind, pa.FixedShapeTensorType):
            if kind.permutation is not None and list(kind.permutation) != sorted(kind.permutation):
                return None
            shape += kind.shape
        else:
            shape.append(kind.list_size)
        kind = kind.value_type
    if not shape or not (is_a.is_integer(kind) or is_a.is_floating(kind)):
        return None
    return Column(tuple(shape), str(np.dtype(kind.to_pandas_dtype())))


def spec_of(columns: Mapping[str, Column], layout: Layout) -> SourceSpec:
    """The spec of a source with these columns."""
    if layout is Layout.RECORDS:
        return SourceSpec(layout, columns=dict.fromkeys(columns, ((), "")))
    return SourceSpec(layout, columns={n: (c.shape, c.dtype) for n, c in columns.items()})


def to_columns(table: pa.Table, columns: Mapping[str, Column]) -> dict[str, np.ndarray]:
    """A table as arrays, with exactly the dtypes that were decided."""
    return {name: _to_array(table[name], column) for name, column in columns.items()}


def _to_array(values: pa.ChunkedArray, column: Column) -> np.ndarray:
    import pyarrow as pa

    if column.shape:
        return _stack(values, column)
    if column.dtype in ("str", "object"):
        boxed = np.empty(len(values), dtype=object)
        boxed[:] = _plain(values)
        return boxed
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s" if column.dtype.endswith("[D]") else "ms"))
    array = np.asarray(values.to_numpy(zero_copy_only=False)).astype(column.dtype, copy=False)
    return array if array.flags.writeable else array.copy()


def _stack(values: pa.ChunkedArray, column: Column) -> np.ndarray:
    flat = [_innermost(chunk).to_numpy(zero_copy_only=False) for chunk in values.chunks]
    whole = np.concatenate([*flat, np.empty(0, dtype=column.dtype)])
    return whole.reshape(len(values), *column.shape)


def _innermost(values: Any) -> Any:
    """The numbers of an array of nested fixed-size lists."""
    values = getattr(values, "storage", values)
    return _innermost(values.flatten()) if hasattr(values.type, "list_size") else values


def any_null(values: pa.ChunkedArray) -> bool:
    """Whether any row is null, or any item of a fixed-size list."""
    return any(_any_null(chunk) for chunk in values.chunks)


def _any_null(values: Any) -> bool:
    if values.null_count:
        return True
    values = getattr(values, "storage", values)
    return hasattr(values.type, "list_size") and _any_null(values.flatten())


def to_records(table: pa.Table) -> list[dict[str, Any]]:
    """A table as a list of dicts of Python values."""
    names = table.column_names
    lists = [_plain(table.column(i)) for i in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]


def _plain(values: pa.ChunkedArray) -> list[Any]:
    """The values as Python objects; times keep microseconds, which is what Python's have."""
    import pyarrow as pa

    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], kind.storage_type)
    elif pa.types.is_timestamp(kind) and kind.unit == "ns":
        values = values.cast(pa.timestamp("us", kind.tz), safe=False)
    elif pa.types.is_duration(kind) and kind.unit == "ns":
        values = values.cast(pa.duration("us"), safe=False)
    return list(values.to_pylist())
