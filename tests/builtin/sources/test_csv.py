import csv
import io
import os
from typing import Any

import numpy as np
import pytest
from foretell.builtin.sources import csv_types
from foretell.builtin.sources.csv import CsvOptions, CsvSource
from foretell.errors import LoadError
from foretell.types import RowError
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.csv"


def source(path: Any, **options: Any) -> CsvSource:
    return CsvSource(CsvOptions(path=str(path), **options))


def rows(source: CsvSource, start: int = 0, stop: int | None = None) -> Any:
    return source.read(start, len(source) if stop is None else stop).examples


FIELDS = st.text(st.sampled_from('ab",\n\r é\t'), max_size=6)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(FIELDS, FIELDS), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_reads_back_what_the_standard_library_writes(tmp_path_factory, records, end):
    text = io.StringIO()
    # The library itself forgets to quote line ends that are not its own.
    odd = end == "\r" or any("\r" in field for record in records for field in record)
    quoting: Any = csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerow(["x", "y"])
    writer.writerows(records)
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(text.getvalue().encode())
    opened = source(path)
    assert rows(opened) == [{"x": x, "y": y} for x, y in records]
    for row in range(len(opened)):
        assert rows(opened, row, row + 1) == [{"x": records[row][0], "y": records[row][1]}]


def test_bad_rows_say_what_was_expected(path):
    path.write_text("a,b\n1,2\n1,2,3\n\n4\n5,6\n")
    read = source(path).read(0, 4)
    assert read.examples == [{"a": "1", "b": "2"}, None, None, {"a": "5", "b": "6"}]
    assert read.errors == (
        RowError(1, "FieldCount", "3 fields where 2 are expected", "x.csv:3"),
        RowError(2, "FieldCount", "1 fields where 2 are expected", "x.csv:5"),
    )


def test_a_quote_that_is_never_closed_spoils_the_last_row_alone(path):
    path.write_text('a,b\n1,2\n3,"4\n5,6\n')
    read = source(path).read(0, 2)
    assert read.examples == [{"a": "1", "b": "2"}, None]
    (error,) = read.errors
    assert (error.row, error.kind, error.locator) == (1, "UnclosedQuote", "x.csv:3")


def test_locates_rows_behind_quoted_line_ends(path):
    path.write_text('a,b\n"1\n1","2\n2"\n3,4\n\n5,6\n')
    opened = source(path)
    assert [opened.locate(row) for row in range(3)] == ["x.csv:2", "x.csv:5", "x.csv:7"]


def test_types_follow_from_the_whole_file_and_not_from_a_chunk(path, monkeypatch):
    monkeypatch.setattr(csv_types, "_ROWS", 2)
    path.write_text("i,x,n,s,b,e\n1,1,1,1,true,\n2,2,,2,false,\n3,2.5,3,n/a!,true,\n")
    opened = source(path, types="infer", layout="columns")
    columns = {name: dtype for name, (_, dtype) in opened.spec.columns.items()}
    assert columns == {
        "i": "int64", "x": "float64", "n": "float64", "s": "str", "b": "bool", "e": "str"
    }  # fmt: skip
    first = rows(opened, 0, 1)
    assert first["x"].tolist() == [1.0]
    assert first["s"].tolist() == ["1"]
    assert np.isnan(rows(opened, 1, 2)["n"]).all()
    records = source(path, types="infer")
    assert rows(records, 1, 2) == [{"i": 2, "x": 2.0, "n": None, "s": "2", "b": False, "e": ""}]


def test_inferred_types_are_kept_in_the_cache(path, cache):
    path.write_text("a\n1\n")
    assert source(path, types="infer", layout="columns").spec.columns["a"][1] == "int64"
    (stored,) = (cache / "types").glob("*.json")
    stored.write_text('{"a": ["double", false]}')
    assert source(path, types="infer", layout="columns").spec.columns["a"][1] == "float64"
    stored.write_text("garbled")
    assert source(path, types="infer", layout="columns").spec.columns["a"][1] == "int64"


def test_numbers_stay_text_unless_asked(path):
    path.write_text("id,x\n007,1e3\nNA,\n")
    assert rows(source(path)) == [{"id": "007", "x": "1e3"}, {"id": "NA", "x": ""}]


def test_delimiters_quotes_and_headers(path, tmp_path):
    path.write_text("1|'x|y'\n")
    options = {"delimiter": "|", "quote": "'", "header": False}
    assert rows(source(path, **options)) == [{"column_0": "1", "column_1": "x|y"}]
    assert rows(source(path, **options, names=("a", "b"), columns=("b",))) == [{"b": "x|y"}]
    tsv = tmp_path / "x.tsv"
    tsv.write_text('a\tb\n1\t"\n')
    assert rows(source(tsv, quote="")) == [{"a": "1", "b": '"'}]


@pytest.mark.parametrize("bad", [{"delimiter": ",,"}, {"delimiter": "\n\n"}, {"quote": "é"}])
def test_odd_dialects_are_refused(path, bad):
    with pytest.raises(ValidationError):
        source(path, **bad)


@pytest.mark.parametrize("bad", [{"delimiter": "\n"}, {"delimiter": '"'}, {"quote": "\r"}])
def test_dialects_that_contradict_themselves_are_refused(path, bad):
    path.write_text("a,b\n")
    with pytest.raises(ValidationError, match=r"delimiter|quote"):
        source(path, **bad)


def test_other_encodings(path):
    path.write_bytes("a,b\nnaïve,日\n".encode("gb18030"))
    assert rows(source(path, encoding="gb18030")) == [{"a": "naïve", "b": "日"}]
    path.write_bytes(b"a,b\nx,y\n\x81,z\n")
    read = source(path, encoding="cp1252").read(0, 2)
    assert read.examples == [{"a": "x", "b": "y"}, None]
    assert read.errors[0].kind == "UnicodeDecodeError"


def test_unknown_columns_are_refused_with_the_known_ones(path):
    path.write_text("text,label\nx,y\n")
    with pytest.raises(LoadError, match="no such column") as caught:
        source(path, columns=("txet",))
    assert ("columns", "text, label") in caught.value.facts
    assert ('columns = ["text"]', "") in caught.value.tries


def test_a_name_given_twice_is_refused(path):
    path.write_text("a,a\n1,2\n")
    with pytest.raises(LoadError, match="same name"):
        source(path)
    assert rows(source(path, header=False))[0] == {"column_0": "a", "column_1": "a"}


def test_files_must_have_the_same_header(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("b,a\n1,2\n")
    with pytest.raises(LoadError, match="different columns") as caught:
        len(source(tmp_path))
    assert ("b.csv", "b, a") in caught.value.facts


def test_a_header_longer_than_a_block(path):
    names = [f"column-{i}" for i in range(20_000)]
    path.write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    assert list(rows(source(path))[0]) == names


def test_an_empty_file_has_no_rows_and_no_columns(path):
    path.write_bytes(b"")
    opened = source(path)
    assert len(opened) == 0
    assert rows(opened) == []
    assert opened.spec.columns == {}


def test_a_single_column_with_empty_values(path):
    path.write_text('a\n1\n""\n\n2\n')
    assert rows(source(path)) == [{"a": "1"}, {"a": ""}, {"a": "2"}]


def test_one_bad_row_costs_no_neighbour_in_a_large_chunk(path):
    lines = [f"{i},text {i}" for i in range(3_000)]
    lines[1_234] = "1234,\udcff"
    path.write_bytes("\n".join(["i,t", *lines]).encode("utf-8", "surrogateescape"))
    read = source(path, layout="columns").read(0, 3_000)
    assert [error.row for error in read.errors] == [1_234]
    columns: Any = read.examples
    good = np.arange(3_000) != 1_234
    assert columns["i"][good].tolist() == [str(i) for i in range(3_000) if i != 1_234]
    assert columns["t"][1_234] == ""


def test_a_file_cut_short_while_a_run_lasts_is_an_error(path):
    path.write_text("a\n1\n2\n")
    opened = source(path)
    assert len(opened) == 2
    os.truncate(path, 4)
    with pytest.raises(LoadError, match="changed while it was being read"):
        opened.read(0, 1)


def test_settings_that_change_rows_change_the_fingerprint(path):
    path.write_text("a,b\n1,2\n")
    prints = [
        source(path, **options).fingerprint()["settings"]
        for options in ({}, {"header": False}, {"types": "infer"}, {"columns": ("b",)})
    ]
    assert len(set(prints)) == 4
