"""Finding files, and saying what is wrong when there are none."""

import os
from typing import Any

import pytest
from foretell.builtin.sources.files import find_files
from foretell.builtin.sources.jsonl import JsonlOptions, JsonlSource
from foretell.errors import LoadError


def options(path: str, base: Any = "/") -> Any:
    return JsonlOptions(path=path).at(base)


def names(path: str, base: Any) -> list[str]:
    return [file.name for file in find_files(options(path, base), "jsonl", (".jsonl",))]


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "deep/c.jsonl", "_x.jsonl", ".y.jsonl", "_d/z.jsonl"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text("{}\n")
    return tmp_path


def test_a_file_a_folder_and_a_pattern(folder):
    assert names("data/b.jsonl", folder) == ["b.jsonl"]
    assert names("data", folder) == ["a.jsonl", "b.jsonl", "deep/c.jsonl"]
    assert names("data/[ab].jsonl", folder) == ["a.jsonl", "b.jsonl"]
    assert names("data/**/c.jsonl", folder) == ["deep/c.jsonl"]
    assert names(f"file://{folder}/data/a.jsonl", folder) == ["a.jsonl"]


def test_a_name_that_looks_like_a_pattern_is_a_name_when_it_exists(folder):
    (folder / "data" / "[ab].jsonl").write_text("{}\n")
    assert names("data/[ab].jsonl", folder) == ["[ab].jsonl"]


def test_a_missing_file_is_named_with_what_comes_near(folder):
    with pytest.raises(LoadError) as caught:
        JsonlSource(options("data/deep/cc.jsonl", folder))
    assert str(caught.value) == (
        "error[source-missing]: the source does not exist\n"
        f"  path      {folder}/data/deep/cc.jsonl\n"
        '  setting   source.path = "data/deep/cc.jsonl"\n'
        f"  try       --source {folder}/data/deep/c.jsonl"
    )


def test_a_missing_folder_is_named_too(folder):
    with pytest.raises(LoadError) as caught:
        JsonlSource(options("dta/deep/c.jsonl", folder))
    assert ("folder", f"{folder}/dta does not exist either") in caught.value.facts
    assert (f"--source {folder}/data", "") in caught.value.tries


def test_a_folder_and_a_pattern_without_files(folder):
    (folder / "empty").mkdir()
    with pytest.raises(LoadError, match=r"no files .jsonl or .ndjson in this folder"):
        JsonlSource(options("empty", folder))
    with pytest.raises(LoadError, match="no files matching the pattern in this folder"):
        JsonlSource(options("data/*.json", folder))


def test_urls_are_refused_without_their_secrets():
    with pytest.raises(LoadError, match="reads local files only") as caught:
        JsonlSource(options("https://user:secret@host/x.jsonl"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl"])
def test_a_compressed_file_is_refused_with_the_command_to_unpack_it(tmp_path, name):
    import gzip

    path = tmp_path / name
    path.write_bytes(gzip.compress(b"{}\n"))
    with pytest.raises(LoadError, match="compressed file cannot be read by row") as caught:
        JsonlSource(options(str(path)))
    command = "gunzip -k" if name.endswith(".gz") else "unpack"
    assert caught.value.tries == ((f"{command} {path}", "and use the unpacked file"),)


def test_a_compressed_file_beside_others_is_not_passed_over(folder):
    (folder / "data" / "d.jsonl.zst").write_bytes(b"")
    with pytest.raises(LoadError, match="compressed"):
        JsonlSource(options("data", folder))


def test_names_that_are_no_text_are_shown_and_read(tmp_path):
    raw = os.path.join(os.fsencode(tmp_path), b"a\x1b[31m\xff\n.jsonl")
    with open(raw, "wb") as file:
        file.write(b"1\noops\n")
    source = JsonlSource(options(os.fsdecode(raw)))
    assert source.locate(0) == "a\\x1b[31m\\udcff\\n.jsonl:1"
    (error,) = source.read(0, 2).errors
    assert error.locator == "a\\x1b[31m\\udcff\\n.jsonl:2"
    assert all(text.isprintable() for text in source.fingerprint().values())


def test_what_may_not_be_read_is_said(tmp_path, monkeypatch):
    (tmp_path / "x.jsonl").write_text("{}\n")
    look = os.stat

    def refuse(path: Any, **how: Any) -> os.stat_result:
        if str(path).endswith("x.jsonl"):
            raise PermissionError(13, "Permission denied", path)
        return look(path, **how)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(LoadError, match="Permission denied"):
        find_files(options(str(tmp_path / "x.jsonl")), "jsonl", (".jsonl",))
