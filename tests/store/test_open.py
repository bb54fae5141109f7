"""Which places may hold a run store, and that faults can be injected from outside."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from foretell.errors import ConfigError, UsageError
from foretell.store.local import LocalObjects
from foretell.store.open import hidden, open_objects
from foretell.testing.faults import FaultSpec


def test_local_places(tmp_path):
    for url in (str(tmp_path), f"file://{tmp_path}", f"file://localhost{tmp_path}"):
        store = open_objects(url)
        assert isinstance(store, LocalObjects)
        assert store.path == str(tmp_path)
        assert store.url == url
        assert not store.remote


@pytest.mark.parametrize(
    "url",
    [
        "http://host/x",
        "gs://bucket/x",
        "memory://x",
        "simplecache::s3://bucket/x",
        "file://s3://bucket",
        "file://host/x",
        "s3://key:secret@bucket/x",
        "s3://bucket/x?X-Amz-Signature=secret",
        "s3://bucket/x#secret",
    ],
)
def test_other_places_are_refused(url):
    with pytest.raises(ConfigError) as caught:
        open_objects(url)
    assert caught.value.slug == "store-scheme"
    assert "secret" not in str(caught.value)


def test_hidden_keeps_what_is_public():
    assert hidden("s3://key:secret@bucket/x/y?sig=1#f") == "s3://bucket/x/y"
    assert hidden("/plain/p@th?") == "/plain/p@th?"


_WRITER = """
import sys
from foretell.store.open import open_objects
store = open_objects(sys.argv[1])
for number in range(5):
    store.put(f"data/{number}", b"x")
print("finished")
"""


def run_writer(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "store").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", _WRITER, str(tmp_path / "store")],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )


def stored(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "store" / "data").iterdir())


def test_kill_at_a_counted_operation(tmp_path):
    mark = tmp_path / "mark"
    settings = {
        "FORETELL_TESTING_FAULT": "op=put-staged,key=data/*,n=3,do=kill",
        "FORETELL_TESTING_FAULT_MARK": str(mark),
        "FORETELL_TESTING_TRACE": str(tmp_path / "trace"),
    }
    killed = run_writer(tmp_path, **settings)
    assert killed.returncode == -signal.SIGKILL
    assert mark.read_text().split()[1:] == ["put-staged", "data/2"]
    assert stored(tmp_path) == ["0", "1"]
    operations = [line.split()[1:] for line in (tmp_path / "trace").read_text().splitlines()]
    assert operations[-2:] == [["put", "data/2"], ["put-staged", "data/2"]]
    assert len(operations) == 8
    # The mark is taken: the next process does its work.
    assert run_writer(tmp_path, **settings).stdout == "finished\n"
    assert stored(tmp_path) == ["0", "1", "2", "3", "4"]


def test_disk_full_from_outside(tmp_path):
    failed = run_writer(tmp_path, FORETELL_TESTING_FAULT="n=6,times=0,do=enospc")
    assert failed.returncode == 1
    assert "storage-full" in failed.stderr
    # The sixth operation is the report of the second put, which is in place by then.
    assert stored(tmp_path) == ["0", "1"]


def test_a_fault_for_workers_spares_the_main_process(tmp_path):
    fault = "do=kill,proc=child"
    assert run_writer(tmp_path, FORETELL_TESTING_FAULT=fault).stdout == "finished\n"


@pytest.mark.parametrize("text", ["", "do=explode", "do=kill,when=2", "op=put"])
def test_an_unknown_fault_is_refused(text):
    with pytest.raises(UsageError):
        FaultSpec.parse(text)
