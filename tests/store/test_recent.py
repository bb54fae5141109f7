import os

import pytest
from foretell.store.recent import KEPT, recent_runs, remember_run


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_the_newest_run_is_first_and_each_is_there_once(tmp_path):
    assert recent_runs() == []
    for name in ("a.zarr", "s3://bucket/b.zarr", "a.zarr"):
        remember_run(name)
    assert recent_runs() == [str(tmp_path / "a.zarr"), "s3://bucket/b.zarr"]


def test_only_so_many_are_kept():
    for number in range(KEPT + 10):
        remember_run(f"s3://b/{number}")
    assert len(recent_runs()) == KEPT
    assert recent_runs()[0] == f"s3://b/{KEPT + 9}"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runs": 3}', '{"runs": [1, "x"]}'])
def test_a_broken_file_is_no_list(tmp_path, text):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "recent.json").write_text(text)
    assert recent_runs() == (["x"] if "x" in text else [])
    remember_run("s3://b/1")
    assert recent_runs()[0] == "s3://b/1"


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(tmp_path / "file"))
    remember_run("a.zarr")
    assert recent_runs() == []


def test_secrets_in_a_url_are_not_remembered(tmp_path):
    remember_run("s3://key:secret@bucket/x")
    assert "secret" not in (tmp_path / "cache" / "recent.json").read_text()
    assert os.listdir(tmp_path / "cache") == ["recent.json"]
