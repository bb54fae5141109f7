import os
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from foretell.builtin.sources.parquet import ParquetOptions, ParquetSource
from foretell.errors import LoadError


def source(path: Any, **settings: Any) -> ParquetSource:
    return ParquetSource(ParquetOptions(path=str(path), **settings))


def rows(source: ParquetSource, start: int, stop: int) -> Any:
    return source.read(start, stop).examples


@pytest.fixture
def path(tmp_path):
    table = pa.table({"i": range(30), "text": [f"text {i}" for i in range(30)]})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=10, use_dictionary=False)
    return tmp_path / "x.parquet"


def test_locates_the_row_in_its_file_and_row_group(tmp_path, path):
    pq.write_table(pa.table({"i": [100], "text": ["a"]}), tmp_path / "a.parquet")
    opened = source(tmp_path)
    assert opened.locate(0) == "a.parquet:row 0 (row group 0)"
    assert opened.locate(18) == "x.parquet:row 17 (row group 1)"


def test_a_range_decodes_the_row_groups_it_touches_and_no_other(path, monkeypatch):
    opened = source(path)
    assert len(opened) == 30
    decoded = []
    plain = pq.ParquetFile.read_row_group

    def count(self: Any, group: int, **how: Any) -> Any:
        decoded.append((group, tuple(how["columns"])))
        return plain(self, group, **how)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", count)
    for start in range(8, 20, 3):
        opened.read(start, start + 3)
    assert decoded == [(0, ("i", "text")), (1, ("i", "text"))]


def test_columns_are_chosen_and_ordered(path):
    assert rows(source(path, columns=("text", "i")), 3, 4) == [{"text": "text 3", "i": 3}]
    assert list(source(path, columns=("text",), layout="columns").spec.columns) == ["text"]
    with pytest.raises(LoadError, match="no such column") as caught:
        source(path, columns=("txt",))
    assert ('columns = ["text"]', "") in caught.value.tries


def test_a_file_cut_short_is_refused(path):
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(LoadError) as caught:
        source(path)
    assert caught.value.message == "this is not a whole Parquet file"
    assert ("file", str(path)) in caught.value.facts
    path.write_bytes(b"")
    with pytest.raises(LoadError, match="not a whole Parquet file"):
        source(path)


def test_a_second_file_that_is_cut_short_is_found_before_a_run_starts(tmp_path, path):
    data = path.read_bytes()
    (tmp_path / "y.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(LoadError, match="not a whole Parquet file") as caught:
        len(source(tmp_path))
    assert ("file", str(tmp_path / "y.parquet")) in caught.value.facts


def test_a_damaged_row_group_costs_its_own_rows_alone(path):
    meta = pq.ParquetFile(path).metadata.row_group(1).column(1)
    data = bytearray(path.read_bytes())
    begin = meta.data_page_offset
    data[begin : begin + meta.total_compressed_size] = b"\xff" * meta.total_compressed_size
    path.write_bytes(data)
    for layout in ("records", "columns"):
        read = source(path, layout=layout).read(5, 25)
        assert [error.row for error in read.errors] == list(range(10, 20))
        assert read.errors[0].message.startswith("the row group is damaged: ")
        assert read.errors[0].locator == "x.parquet:row 10 (row group 1)"
    got = rows(source(path), 5, 25)
    assert [record and record["i"] for record in got] == [
        5,
        6,
        7,
        8,
        9,
        *[None] * 10,
        *range(20, 25),
    ]


def test_files_must_have_the_same_columns(tmp_path, path):
    pq.write_table(pa.table({"i": [1.5], "text": ["a"]}), tmp_path / "y.parquet")
    with pytest.raises(LoadError, match="different columns") as caught:
        len(source(tmp_path))
    assert {("x.parquet", "int64"), ("y.parquet", "double")} <= set(caught.value.facts)
    pq.write_table(pa.table({"i": [1]}), tmp_path / "y.parquet")
    with pytest.raises(LoadError, match="no such column"):
        len(source(tmp_path))
    assert len(source(tmp_path, columns=("i",))) == 31


def test_dtypes_do_not_depend_on_the_rows_that_are_read(tmp_path):
    table = pa.table(
        {
            "n": pa.array([1, 2, None]),
            "flag": pa.array([True, False, None]),
            "emb": pa.array([[1.0, 2.0], [3.0, 4.0], None], pa.list_(pa.float32(), 2)),
        }
    )
    for statistics in (True, False):
        pq.write_table(table, tmp_path / "x.parquet", write_statistics=statistics)
        opened = source(tmp_path, layout="columns")
        assert {name: dtype for name, (_, dtype) in opened.spec.columns.items()} == {
            "n": "float64", "flag": "object", "emb": "object"
        }  # fmt: skip
        first = rows(opened, 0, 1)
        assert first["n"].dtype == np.float64
        assert first["flag"].tolist() == [True]
        assert first["emb"].tolist() == [[1.0, 2.0]]


def test_tensors_come_in_their_shape(tmp_path):
    values = np.arange(24, dtype="int16").reshape(4, 2, 3)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    pq.write_table(pa.table({"x": tensors}), tmp_path / "x.parquet", row_group_size=3)
    opened = source(tmp_path, layout="columns")
    assert opened.spec.columns == {"x": ((2, 3), "int16")}
    assert (rows(opened, 1, 4)["x"] == values[1:]).all()
    assert rows(source(tmp_path), 1, 2) == [{"x": values[1].reshape(-1).tolist()}]


def test_nanoseconds_are_readable_as_records(tmp_path):
    times = np.array(["2026-01-01T00:00:00.123456789"], "datetime64[ns]")
    pq.write_table(pa.table({"t": times}), tmp_path / "x.parquet")
    (record,) = rows(source(tmp_path), 0, 1)
    assert record["t"].isoformat() == "2026-01-01T00:00:00.123456"


def test_a_file_without_row_groups_has_no_rows(tmp_path):
    pq.write_table(pa.table({"i": pa.array([], pa.int64())}), tmp_path / "x.parquet")
    opened = source(tmp_path, layout="columns")
    assert len(opened) == 0
    assert rows(opened, 0, 0)["i"].dtype == np.int64


def test_a_file_replaced_while_a_run_lasts_is_an_error(path):
    opened = source(path)
    assert len(opened) == 30
    pq.write_table(pa.table({"i": range(99), "text": ["x"] * 99}), path)
    with pytest.raises(LoadError, match="changed while it was being read"):
        opened.read(0, 1)
