import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import zarr
from foretell.builtin.sources.memory import MemoryOptions, MemorySource
from foretell.builtin.sources.memory_digest import digest_array, digest_records
from foretell.errors import ConfigError, LoadError
from foretell.types import Layout


class Plain:
    """Map-style."""

    def __init__(self, rows: Any) -> None:
        self.rows, self.asked = rows, 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        self.asked += 1
        value = self.rows[row]
        if isinstance(value, Exception):
            raise value
        return value


class Frame:
    """As much of a data frame as matters."""

    columns = ("a", "b")
    iloc = None

    def __len__(self) -> int:
        return 2

    def __getitem__(self, name: str) -> Any:
        return [1, 2] if name == "a" else ["x", "y"]


def digest(values: np.ndarray, segment: int = 1000) -> str:
    return digest_array(values, len(values), segment=segment)


def test_takes_what_has_a_length_and_an_index():
    for data in ([1], (1,), np.zeros(1), {"a": [1]}, Plain([1]), Frame()):
        assert MemorySource.recognises(data)
    for other in ("path", b"bytes", {1}, iter([1]), 3):
        assert not MemorySource.recognises(other)


def test_is_not_built_from_a_job_file():
    with pytest.raises(ConfigError) as caught:
        MemorySource.from_options(MemoryOptions())
    assert str(caught.value) == (
        "error[source-memory]: data in memory cannot come from a job file\n"
        '  setting   source.kind = "memory"\n'
        "  try       foretell.predict(source=data, …)      from Python\n"
        "            numpy.save, then source.path          to run it from a job file"
    )


def test_is_built_around_live_data():
    built = MemorySource.from_live(MemoryOptions(), [1, 2])
    assert built.read(0, 2).examples == [1, 2]


@pytest.mark.parametrize(
    "data", [np.float32(1), {"a": [1], "b": [1, 2]}, {}, {"a": np.float32(1)}, iter([1])]
)
def test_what_has_no_rows_is_refused(data):
    with pytest.raises(ConfigError):
        MemorySource(data)


def test_a_frame_is_its_columns():
    source = MemorySource(Frame())
    assert source.spec.layout is Layout.COLUMNS
    columns: Any = source.read(1, 2).examples
    assert (columns["a"].tolist(), columns["b"].tolist()) == ([2], ["y"])


def test_anything_like_an_array_is_sliced_and_never_read_whole(tmp_path):
    array = zarr.create_array(str(tmp_path / "x"), shape=(10, 2), chunks=(3, 2), dtype="f4")
    array[:] = np.arange(20).reshape(10, 2)
    source = MemorySource(array)
    assert source.spec.shape == (2,)
    rows: Any = source.read(4, 6).examples
    assert rows.tolist() == [[8, 9], [10, 11]]
    whole = np.arange(20, dtype="f4").reshape(10, 2)
    assert source.fingerprint() == MemorySource(whole).fingerprint()


def test_a_failing_item_is_its_own_error_and_a_failing_disk_is_not():
    source = MemorySource(Plain([1, ValueError("not an\nimage"), FileNotFoundError("gone"), 4]))
    read = source.read(0, 4)
    assert read.examples == [1, None, None, 4]
    assert [(e.row, e.kind, e.message) for e in read.errors] == [
        (1, "ValueError", "not an\\nimage"),
        (2, "FileNotFoundError", "gone"),
    ]
    with pytest.raises(OSError, match="Input/output error"):
        MemorySource(Plain([OSError(5, "Input/output error")])).read(0, 1)


def test_data_that_grows_while_a_run_lasts_is_an_error():
    data = [1, 2]
    source = MemorySource(data)
    data.append(3)
    with pytest.raises(LoadError, match="changed while it was being read"):
        source.read(0, 2)


def test_a_large_map_style_object_is_sampled_unless_all_of_it_is_asked_for():
    data = Plain(list(range(10_000)))
    MemorySource(data).fingerprint()
    assert data.asked == 64
    MemorySource(data, MemoryOptions(fingerprint="content")).fingerprint()
    assert data.asked == 10_064


def test_the_hash_of_an_array_is_that_of_its_values():
    values = np.arange(30, dtype="f4").reshape(10, 3)
    known = digest(values)
    assert digest(np.asfortranarray(values)) == known
    assert digest(values.astype(">f4")) == known
    assert digest(np.repeat(values, 2, axis=0)[::2]) == known
    assert digest(values, segment=40) == digest(values.copy(), segment=40)
    for other in (values.astype("f8"), values.reshape(5, 6), values[:-1], values + 1):
        assert digest(other) != known
    swapped = values[[*range(9, -1, -1)]]
    assert digest(swapped, segment=12) != digest(values, segment=12)


def test_the_hash_of_records_is_that_of_their_content():
    array = np.arange(3)
    records = [{"a": 1, "b": [array, b"x", None]}, ("t", {1.5: "y"}), {2, 3}]
    same = [{"b": [array.copy(), b"x", None], "a": 1}, ("t", {1.5: "y"}), {2, 3}]
    assert digest_records(records) == digest_records(same)
    assert digest_records(records) != digest_records(records[::-1])
    assert digest_records([{"a": array}]) != digest_records([{"a": array.astype("i4")}])
    with pytest.raises(ConfigError, match="cannot be hashed"):
        digest_records([lambda: 0])


def test_hashes_are_the_same_in_every_process():
    program = (
        "from foretell.builtin.sources.memory_digest import digest_records\n"
        "print(digest_records([{'b': {'x', 'y', 'z'}, 'a': b'1'}, 'text', 1.5]))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1
