"""The row index: built once, found again, never trusted when the files are others."""

import multiprocessing
import os
from pathlib import Path

import pytest
from foretell.builtin.sources import index as indexing
from foretell.builtin.sources.files import DataFile
from foretell.builtin.sources.index import load_index
from foretell.builtin.sources.jsonl import JsonlOptions, JsonlSource
from foretell.builtin.sources.scan import LineScanner
from foretell.errors import LoadError


def data_file(path: Path) -> DataFile:
    stat = path.stat()
    return DataFile(str(path), path.name, stat.st_size, stat.st_mtime_ns)


class CountingScanner(LineScanner):
    made = 0

    def __init__(self, offset: int = 0) -> None:
        super().__init__(offset)
        CountingScanner.made += 1


@pytest.fixture(autouse=True)
def _count_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountingScanner, "made", 0)


@pytest.fixture
def files(tmp_path: Path) -> list[DataFile]:
    (tmp_path / "a.txt").write_bytes(b"one\n\n\ntwo\nthree")
    (tmp_path / "b.txt").write_bytes(b"")
    (tmp_path / "c.txt").write_bytes(b"\nfour\n")
    return [data_file(tmp_path / name) for name in ("a.txt", "b.txt", "c.txt")]


def test_knows_where_every_row_is(files):
    index = load_index(files, "lines", LineScanner)
    assert len(index) == 4
    assert [index.place(row) for row in range(4)] == [(0, 0), (0, 1), (0, 2), (2, 0)]
    assert index.bounds(0, 0, 3).tolist() == [0, 6, 10, 15]
    assert index.bounds(2, 0, 1).tolist() == [1, 6]
    assert [index.line(0, row) for row in range(3)] == [1, 4, 5]
    assert index.line(2, 0) == 2
    assert list(index.pieces(1, 4)) == [(0, 1, 3), (2, 0, 1)]


def test_is_found_again(files):
    load_index(files, "lines", CountingScanner)
    again = load_index(files, "lines", CountingScanner)
    assert CountingScanner.made == 3
    assert again.bounds(0, 1, 3).tolist() == [6, 10, 15]


def test_an_index_that_is_replaced_stays_what_it_was_for_those_who_have_it(files, tmp_path):
    index = load_index(files, "lines", LineScanner)
    (tmp_path / "b.txt").write_bytes(b"between\n")
    files[1] = data_file(tmp_path / "b.txt")
    load_index(files, "lines", LineScanner)
    assert index.bounds(2, 0, 1).tolist() == [1, 6]
    assert index.line(0, 2) == 5


def test_another_way_of_scanning_has_another_index(files):
    load_index(files, "lines", CountingScanner)
    load_index(files, "other lines", CountingScanner)
    assert CountingScanner.made == 6


def test_is_built_anew_when_a_file_changed_and_replaces_the_old_one(files, tmp_path, cache):
    load_index(files, "lines", LineScanner)
    (tmp_path / "b.txt").write_bytes(b"between\n")
    files[1] = data_file(tmp_path / "b.txt")
    assert len(load_index(files, "lines", LineScanner)) == 5
    assert len(list((cache / "rows").glob("*.idx"))) == 1


@pytest.mark.parametrize("damage", [b"", b"FTROWS01", b"nonsense" * 100])
def test_a_damaged_index_is_built_anew(files, cache, damage):
    load_index(files, "lines", LineScanner)
    (stored,) = (cache / "rows").glob("*.idx")
    stored.write_bytes(damage)
    assert len(load_index(files, "lines", LineScanner)) == 4


def test_an_index_cut_short_is_built_anew(files, cache):
    load_index(files, "lines", LineScanner)
    (stored,) = (cache / "rows").glob("*.idx")
    stored.write_bytes(stored.read_bytes()[:-8])
    assert len(load_index(files, "lines", LineScanner)) == 4


def test_nothing_is_left_behind_when_building_fails(files, cache, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"longer than it was when it was listed\n")
    with pytest.raises(LoadError, match="changed while it was being read"):
        load_index(files, "lines", LineScanner)
    assert [path.suffix for path in (cache / "rows").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_done_without(files, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(tmp_path / "file"))
    index = load_index(files, "lines", LineScanner)
    assert index.bounds(0, 0, 3).tolist() == [0, 6, 10, 15]


def test_works_where_there_are_no_locks(files, monkeypatch):
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert len(load_index(files, "lines", LineScanner)) == 4


def test_many_blocks_give_the_same_index(tmp_path, monkeypatch):
    lines = [b"x" * (i % 17) for i in range(500)]
    (tmp_path / "a.txt").write_bytes(b"\r\n".join(lines))
    files = [data_file(tmp_path / "a.txt")]
    whole = load_index(files, "whole", LineScanner)
    monkeypatch.setattr(indexing, "_BLOCK", 7)
    cut = load_index(files, "cut", LineScanner)
    assert cut.bounds(0, 0, len(cut)).tolist() == whole.bounds(0, 0, len(whole)).tolist()
    assert [cut.line(0, row) for row in range(len(cut))] == [
        number for number, line in enumerate(lines, 1) if line
    ]


def _rows_of(path: str, cache: str, barrier, answers) -> None:
    os.environ["FORETELL_CACHE_DIR"] = cache
    source = JsonlSource(JsonlOptions(path=path))
    barrier.wait()
    answers.put((len(source), source.read(9_998, 10_000).examples))


def test_several_processes_at_once_get_one_index(tmp_path, cache):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(f"{i}\n" for i in range(20_000)))
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(4), spawn.Queue()
    workers = [
        spawn.Process(target=_rows_of, args=(str(path), str(cache), barrier, answers))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    got = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert got == [(20_000, [9_998, 9_999])] * 4
    assert sorted(p.suffix for p in (cache / "rows").iterdir()) == [".idx", ".lock"]
