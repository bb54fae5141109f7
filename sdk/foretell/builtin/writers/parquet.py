"""Writes the outputs as Parquet: one file per chunk, one column per output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from foretell.abc.options import WriterOptions
from foretell.builtin.writers.parts import PartWriter
from foretell.types import Arrays, OutputSpec

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetOptions(WriterOptions):
    """``[writer] kind = "parquet"``."""

    kind: Literal["parquet"] = Field(default="parquet", description="One column per output.")
    compression: int = Field(
        default=1, ge=0, le=22, description="zstd level; 0 stores uncompressed."
    )


class ParquetWriter(PartWriter):
    """Columns ``row`` (int64), ``valid`` (uint8) and one for each output.

    Outputs of a fixed shape are fixed-size lists, complex numbers pairs, ragged values JSON text
    (the field's metadata say so). Rows without a prediction are null, which is never a NaN. Pages
    carry checksums.
    """

    Options: ClassVar[type[WriterOptions]] = ParquetOptions
    suffix = "parquet"
    options: ParquetOptions

    def warm(self) -> None:
        import pyarrow.parquet  # noqa: F401

        from foretell.builtin.writers import arrow  # noqa: F401

    def encode(self, rows: np.ndarray, arrays: Arrays, valid: np.ndarray) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from foretell.builtin.writers import arrow

        missing = valid != 1
        columns = [pa.array(rows), pa.array(valid)]
        columns += [
            arrow.to_column(spec, arrays[spec.name], missing, rows) for spec in self.plan.outputs
        ]
        table = pa.Table.from_arrays(columns, schema=self._schema())
        sink = pa.BufferOutputStream()
        level = self.options.compression
        pq.write_table(
            table,
            sink,
            compression="zstd" if level else "none",
            compression_level=level or None,
            write_page_checksum=True,
        )
        return bytes(sink.getvalue())

    def decode(
        self, data: bytes, specs: Sequence[OutputSpec]
    ) -> tuple[np.ndarray, Arrays, np.ndarray]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from foretell.builtin.writers import arrow

        names = ["row", "valid", *(spec.name for spec in specs)]
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        table = file.read(columns=names, use_threads=False)
        rows, valid = (table.column(name).to_numpy() for name in ("row", "valid"))
        arrays = {
            spec.name: arrow.from_column(spec, table.column(spec.name), valid == 1)
            for spec in specs
        }
        return rows, arrays, valid

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        from foretell.builtin.writers import arrow

        fields: list[Any] = [
            pa.field("row", pa.int64(), nullable=False),
            pa.field("valid", pa.uint8(), nullable=False),
        ]
        fields += [arrow.field(spec) for spec in self.plan.outputs]
        meaning = {"0": "not predicted", "1": "predicted", "2": "quarantined"}
        return pa.schema(fields, metadata={"foretell.valid": json.dumps(meaning)})
