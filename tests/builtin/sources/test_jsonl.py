import os
from typing import Any

import pytest
from foretell.builtin.sources import textrows
from foretell.builtin.sources.jsonl import JsonlOptions, JsonlSource
from foretell.errors import ConfigError, LoadError
from foretell.types import RowError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.jsonl"


def source(path: Any, **settings: Any) -> JsonlSource:
    return JsonlSource(JsonlOptions(path=str(path), **settings))


def test_a_broken_line_is_its_own_error_with_its_line_number(path):
    path.write_bytes(b'{"a": 1}\r\n\r\n{"a": \r\n{"a": 3}')
    read = source(path).read(0, 3)
    assert read.examples == [{"a": 1}, None, {"a": 3}]
    assert read.errors == (
        RowError(1, "JSONDecodeError", "not JSON: Expecting value", "x.jsonl:3"),
    )


def test_text_that_does_not_decode_is_an_error_of_its_row(path):
    path.write_bytes(b'"ok"\n"\xff"\n')
    (error,) = source(path).read(0, 2).errors
    assert (error.row, error.kind) == (1, "UnicodeDecodeError")
    assert error.message == "not utf-8: invalid start byte"


def test_absurd_values_are_errors_and_do_no_harm(path):
    path.write_bytes(b"[" * 200_000 + b"\n" + b"9" * 10_000 + b"\n1\n")
    read = source(path).read(0, 3)
    assert read.examples == [None, None, 1]
    assert [error.message[:17] for error in read.errors] == [
        "nested too deeply",
        "Exceeds the limit",
    ]


def test_other_encodings(path):
    path.write_bytes('{"a": "naïve"}\n'.encode("latin-1"))
    assert source(path, encoding="latin-1").read(0, 1).examples == [{"a": "naïve"}]
    with pytest.raises(ConfigError, match="lines cannot be found in this text encoding"):
        source(path, encoding="utf-16")
    with pytest.raises(ConfigError, match="unknown text encoding"):
        source(path, encoding="klingon")
    with pytest.raises(ConfigError, match="unknown text encoding"):
        source(path, encoding="base64")


def test_a_row_too_long_is_an_error_and_its_neighbours_are_read(path, monkeypatch):
    monkeypatch.setattr(textrows, "MAX_ROW_BYTES", 50)
    path.write_text("1\n2\n" + '"' + "x" * 100 + '"\n4\n')
    read = source(path).read(1, 4)
    assert read.examples == [2, None, 4]
    assert [(error.row, error.kind, error.locator) for error in read.errors] == [
        (2, "TooLong", "x.jsonl:3")
    ]


def test_rows_are_counted_over_all_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f'"{name}1"\n\n"{name}2"\n')
    rows = source(tmp_path)
    assert rows.read(1, 3).examples == ["a2", "b1"]
    assert [rows.locate(row) for row in range(4)] == [
        "a.jsonl:1", "a.jsonl:3", "b.jsonl:1", "b.jsonl:3"
    ]  # fmt: skip


def test_a_file_that_grows_while_a_run_lasts_is_an_error(path):
    path.write_text("1\n2\n")
    rows = source(path)
    assert len(rows) == 2
    with path.open("a") as file:
        file.write("3\n")
    with pytest.raises(LoadError, match="changed while it was being read") as caught:
        rows.read(0, 2)
    assert ("change", "4 bytes when opened, 6 now") in caught.value.facts


def test_a_file_rewritten_in_place_is_an_error_and_a_touched_one_is_not(path):
    path.write_text("10\n20\n")
    rows = source(path)
    assert rows.read(0, 2).examples == [10, 20]
    times = path.stat().st_mtime_ns
    os.utime(path, ns=(times, times + 10**9))
    assert rows.read(0, 2).examples == [10, 20]
    path.write_text("1\n200\n")
    os.utime(path, ns=(times, times + 2 * 10**9))
    with pytest.raises(LoadError, match="changed while it was being read"):
        rows.read(0, 2)


def test_lines_that_moved_are_noticed_although_size_and_time_are_the_same(path):
    path.write_text("10\n20\n")
    stat = path.stat()
    assert len(source(path)) == 2
    path.write_text("1\n200\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(LoadError, match="its lines are not where they were"):
        source(path).read(0, 2)


def test_a_deleted_file_is_a_failure_of_the_storage(path):
    path.write_text("1\n")
    rows = source(path)
    assert len(rows) == 1
    path.unlink()
    with pytest.raises(FileNotFoundError):
        rows.read(0, 1)


def test_building_it_does_not_index_it(path, cache):
    path.write_text("1\n")
    rows = source(path)
    assert rows.spec.columns == {}
    assert not cache.exists()
    assert len(rows) == 1
    assert cache.exists()


def test_a_small_change_in_the_middle_of_a_large_file_is_seen_with_content(path):
    path.write_text("".join(f"{i:09d}\n" for i in range(10**6)))
    before = [source(path, fingerprint=how).fingerprint() for how in ("stat", "content")]
    with path.open("r+b") as file:
        file.seek(10 * 123_456)
        file.write(b"9")
    after = [source(path, fingerprint=how).fingerprint() for how in ("stat", "content")]
    assert before[0]["sample"] == after[0]["sample"]
    assert before[1]["content"] != after[1]["content"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "no end\n', "not JSON: Invalid control character"),
        (b'{"text" 1}\n', "not JSON: Expecting ':' delimiter"),
        (b'{"text": "\xff"}\n', "not utf-8: invalid start byte"),
    ],
)
def test_reasons_are_whole_phrases(path, line, reason):
    path.write_bytes(b'{"text": "fine"}\n' + line)
    (error,) = source(path).read(0, 2).errors
    assert (error.row, error.message, error.locator) == (1, reason, "x.jsonl:2")
