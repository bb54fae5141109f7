"""Every built-in source of records keeps the contract, in each shape of its files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from foretell.builtin.sources.csv import CsvOptions, CsvSource
from foretell.builtin.sources.jsonl import JsonlOptions, JsonlSource
from foretell.builtin.sources.parquet import ParquetOptions, ParquetSource
from foretell.testing.source import SourceContract
from touched import later, overwrite

# --- jsonl ----------------------------------------------------------------------------------------

LINES = [
    {"id": 0, "text": "plain"},
    {"id": 1, "text": "naïve 日本 🎉"},
    [1, 2.5, None],
    "just text",
    {"id": 4, "nan": float("nan")},
    None,
    {"id": 6, "deep": {"a": [1, {"b": 2}]}},
]


class TestJsonl(SourceContract):
    source_class = JsonlSource

    @pytest.fixture
    def source_options(self, tmp_path: Path) -> Any:
        (tmp_path / "x.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
        return JsonlOptions(path="x.jsonl").at(tmp_path)

    @pytest.fixture
    def expected(self) -> list[Any]:
        return LINES

    @pytest.fixture
    def change(self, source_options: JsonlOptions, tmp_path: Path) -> Callable[[], object]:
        return lambda: overwrite(tmp_path / "x.jsonl", b"plain", b"fancy")

    @pytest.fixture
    def touch(self, source_options: JsonlOptions, tmp_path: Path) -> Callable[[], object]:
        return lambda: later(tmp_path / "x.jsonl")


class TestJsonlFolderWithEverythingOdd(SourceContract):
    source_class = JsonlSource

    @pytest.fixture
    def source_options(self, tmp_path: Path) -> Any:
        folder = tmp_path / "data"
        (folder / "sub").mkdir(parents=True)
        (folder / "a.jsonl").write_bytes(b'\xef\xbb\xbf\r\n{"id": 0}\r\n\r\n  \t\r\n{"id": 1}')
        (folder / "b.jsonl").write_bytes(b"")
        (folder / "c.ndjson").write_bytes(
            b'\n\n{"id": 2}\n{"id": \xff}\nnope\n' + b"[" * 100_000 + b"\n"
        )
        (folder / "sub" / "d.jsonl").write_bytes(b' {"id": 6} \n\n\n')
        (folder / "_ignored.jsonl").write_bytes(b"{}\n")
        (folder / ".hidden.jsonl").write_bytes(b"{}\n")
        (folder / "readme.txt").write_bytes(b"{}\n")
        return JsonlOptions(path="data").at(tmp_path)

    @pytest.fixture
    def expected(self) -> list[Any]:
        return [{"id": 0}, {"id": 1}, {"id": 2}, None, None, None, {"id": 6}]

    @pytest.fixture
    def bad_rows(self) -> frozenset[int]:
        return frozenset({3, 4, 5})


class TestJsonlEmpty(SourceContract):
    source_class = JsonlSource

    @pytest.fixture
    def source_options(self, tmp_path: Path) -> Any:
        (tmp_path / "x.jsonl").write_bytes(b"\n\n")
        return JsonlOptions(path=str(tmp_path / "x.jsonl"))

    @pytest.fixture
    def expected(self) -> list[Any]:
        return []


# --- csv ------------------------------------------------------------------------------------------

CSV = (
    b'\xef\xbb\xbfid,"te""xt",x\r\n'
    b'1,"two\nlines",0.5\r\n'
    b"\r\n"
    b'2,5" pipe,1\r\n'
    b"3,too few\r\n"
    b'"4","a ""quoted"" word, and a comma",2\r\n'
    b"5,\xff,3\r\n"
    b"6,,nan"
)
CSV_ROWS = [
    {"id": "1", 'te"xt': "two\nlines", "x": "0.5"},
    {"id": "2", 'te"xt': '5" pipe', "x": "1"},
    None,
    {"id": "4", 'te"xt': 'a "quoted" word, and a comma', "x": "2"},
    None,
    {"id": "6", 'te"xt': "", "x": "nan"},
]


class CsvContract(SourceContract):
    source_class = CsvSource

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        (tmp_path / "x.csv").write_bytes(CSV)
        return tmp_path / "x.csv"

    @pytest.fixture
    def bad_rows(self) -> frozenset[int]:
        return frozenset({2, 4})

    @pytest.fixture
    def change(self, path: Path) -> Callable[[], object]:
        return lambda: overwrite(path, b"two\nlines", b"one\nlines")

    @pytest.fixture
    def touch(self, path: Path) -> Callable[[], object]:
        return lambda: later(path)


class TestCsvRecords(CsvContract):
    @pytest.fixture
    def source_options(self, path: Path) -> Any:
        return CsvOptions(path="x.csv").at(path.parent)

    @pytest.fixture
    def expected(self) -> list[Any]:
        return CSV_ROWS


class TestCsvColumns(CsvContract):
    @pytest.fixture
    def source_options(self, path: Path) -> Any:
        return CsvOptions(path=str(path), layout="columns", columns=("x", 'te"xt'))

    @pytest.fixture
    def expected(self) -> dict[str, np.ndarray]:
        names = ("x", 'te"xt')
        return {n: np.array([r[n] if r else "" for r in CSV_ROWS], dtype=object) for n in names}


class TestCsvInferred(CsvContract):
    @pytest.fixture
    def source_options(self, path: Path) -> Any:
        return CsvOptions(path=str(path), layout="columns", types="infer")

    @pytest.fixture
    def expected(self) -> dict[str, np.ndarray]:
        texts = [r['te"xt'] if r else "" for r in CSV_ROWS]
        return {
            "id": np.array([1, 2, 0, 4, 0, 6]),
            'te"xt': np.array(texts, dtype=object),
            "x": np.array([0.5, 1, 0, 2, 0, np.nan]),
        }


class TestCsvHeaderOnly(SourceContract):
    source_class = CsvSource

    @pytest.fixture
    def source_options(self, tmp_path: Path) -> Any:
        (tmp_path / "x.csv").write_bytes(b"a,b\n")
        return CsvOptions(path=str(tmp_path / "x.csv"), layout="columns")

    @pytest.fixture
    def expected(self) -> dict[str, np.ndarray]:
        return {"a": np.empty(0, object), "b": np.empty(0, object)}


class TestCsvFolder(SourceContract):
    source_class = CsvSource

    @pytest.fixture
    def source_options(self, tmp_path: Path) -> Any:
        (tmp_path / "b.csv").write_bytes(b"a;b\n3;4\n")
        (tmp_path / "a.csv").write_bytes(b"a;b\r1;'x;y'\r2;z\r")
        (tmp_path / "c.csv").write_bytes(b"")
        return CsvOptions(path=str(tmp_path / "*.csv"), delimiter=";", quote="'")

    @pytest.fixture
    def expected(self) -> list[Any]:
        return [{"a": "1", "b": "x;y"}, {"a": "2", "b": "z"}, {"a": "3", "b": "4"}]


# --- parquet --------------------------------------------------------------------------------------

TABLE = pa.table(
    {
        "id": pa.array(range(40), pa.int32()),
        "x": pa.array([None if i % 7 == 0 else i / 2 for i in range(40)], pa.float64()),
        "n": pa.array([None if i % 9 == 0 else i for i in range(40)], pa.int64()),
        "text": pa.array([f"naïve {i}" for i in range(40)]),
        "maybe": pa.array([None if i % 5 == 0 else f"{i}" for i in range(40)]),
        "flag": pa.array([i % 2 == 0 for i in range(40)]),
        "emb": pa.FixedSizeListArray.from_arrays(pa.array(range(80), pa.float32()), 2),
        "bag": pa.array([list(range(i % 3)) for i in range(40)]),
        "day": pa.array(np.arange(40).astype("datetime64[D]")),
        "when": pa.array(np.arange(40).astype("datetime64[ns]")),
        "word": pa.array([f"w{i % 3}" for i in range(40)]).dictionary_encode(),
    }
)


class ParquetContract(SourceContract):
    source_class = ParquetSource

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "data"
        folder.mkdir()
        pq.write_table(TABLE.slice(0, 23), folder / "a.parquet", row_group_size=5)
        pq.write_table(TABLE.slice(0, 0), folder / "b.parquet")
        pq.write_table(
            TABLE.slice(23), folder / "c.parquet", row_group_size=100, write_statistics=False
        )
        return folder

    @pytest.fixture
    def change(self, folder: Path) -> Callable[[], object]:
        reverse = TABLE.take(list(range(39, 16, -1)))
        return lambda: pq.write_table(reverse, folder / "a.parquet", row_group_size=5)

    @pytest.fixture
    def touch(self, folder: Path) -> Callable[[], object]:
        return lambda: later(folder / "c.parquet")


class TestParquetRecords(ParquetContract):
    @pytest.fixture
    def source_options(self, folder: Path) -> Any:
        return ParquetOptions(path=str(folder), columns=tuple(TABLE.column_names[:-2]))

    @pytest.fixture
    def expected(self) -> Any:
        return TABLE.select(TABLE.column_names[:-2]).to_pylist()


class TestParquetColumns(ParquetContract):
    @pytest.fixture
    def source_options(self, folder: Path) -> Any:
        return ParquetOptions(path="data/*.parquet", layout="columns").at(folder.parent)

    @pytest.fixture
    def expected(self) -> dict[str, np.ndarray]:
        boxed = {n: np.empty(40, object) for n in ("text", "maybe", "bag", "word")}
        for name, column in boxed.items():
            column[:] = TABLE[name].to_pylist()
        return {
            "id": np.arange(40, dtype="int32"),
            "x": np.array([np.nan if i % 7 == 0 else i / 2 for i in range(40)]),
            "n": np.array([np.nan if i % 9 == 0 else i for i in range(40)], "float64"),
            "text": boxed["text"],
            "maybe": boxed["maybe"],
            "flag": np.arange(40) % 2 == 0,
            "emb": np.arange(80, dtype="float32").reshape(40, 2),
            "bag": boxed["bag"],
            "day": np.arange(40).astype("datetime64[D]"),
            "when": np.arange(40).astype("datetime64[ns]"),
            "word": boxed["word"],
        }
