import os
import pickle
import zipfile
from typing import Any

import numpy as np
import psutil
import pytest
from foretell.builtin.sources.npy import NpyOptions, NpySource
from foretell.errors import LoadError
from foretell.types import Layout


def source(path: Any, **settings: Any) -> NpySource:
    return NpySource(NpyOptions(path=str(path), **settings))


def rows(source: NpySource, start: int, stop: int) -> Any:
    return source.read(start, stop).examples


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("the data ran code",))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_objects_are_never_unpickled(tmp_path, save):
    bombs = np.array([Bomb(), Bomb()], dtype=object)
    np.save(tmp_path / "x.npy", bombs)
    save(tmp_path / "x.npz", x=bombs)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(LoadError, match="an array of Python objects cannot be read") as caught:
            source(tmp_path / name)
        assert caught.value.slug == "source-objects"
        assert "pickles" in dict(caught.value.facts)["reason"]


def test_a_bare_pickle_is_not_a_numpy_file(tmp_path):
    (tmp_path / "x.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(LoadError, match="not a whole NumPy file"):
        source(tmp_path / "x.npy")


def test_structured_records_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3, dtype=[("a", "i4"), ("b", "f4")]))
    with pytest.raises(LoadError, match="structured records cannot be read"):
        source(tmp_path / "x.npy")


def test_a_file_cut_short_is_refused_or_noticed_later(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(1000))
    opened = source(path)
    os.truncate(path, 4000)
    with pytest.raises(LoadError, match="changed while it was being read"):
        opened.read(900, 1000)
    with pytest.raises(LoadError, match="not a whole NumPy file") as caught:
        source(path)
    assert "8,000 bytes of values promised, 3,872 there" in dict(caught.value.facts)["reason"]
    os.truncate(path, 20)
    with pytest.raises(LoadError, match="not a whole NumPy file"):
        source(path)


def test_absurd_headers_are_refused_without_allocating(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data.replace(b"(4,), }    ", b"(10**15,), }")[: len(data)])
    with pytest.raises(LoadError, match="not a whole NumPy file"):
        source(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(data.replace(b"(4,), }           ", b"(9000000000000,), }"))
    with pytest.raises(LoadError, match="bytes of values promised"):
        source(tmp_path / "x.npy").read(0, 1)


def test_one_array_of_an_archive_or_several_as_columns(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.arange(6).reshape(3, 2), y=np.arange(3), z=np.arange(9))
    one = source(tmp_path / "x.npz", array="z")
    assert (one.spec.layout, len(one)) == (Layout.ARRAY, 9)
    assert rows(one, 2, 4).tolist() == [2, 3]
    several = source(tmp_path / "x.npz", arrays=("y", "x"))
    assert several.spec.columns == {"y": ((), "int64"), "x": ((2,), "int64")}
    assert rows(several, 1, 2)["x"].tolist() == [[2, 3]]
    single = source(tmp_path / "x.npz", arrays=("y",))
    assert rows(single, 0, 1)["y"].tolist() == [0]


def test_arrays_of_different_lengths_are_listed(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.arange(3), y=np.zeros((4, 2), "f4"))
    with pytest.raises(LoadError, match="different numbers of rows") as caught:
        source(tmp_path / "x.npz")
    assert ("arrays", "x int64 (3,)\ny float32 (4, 2)") in caught.value.facts


def test_unknown_arrays_are_told_from_the_known(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.arange(3))
    with pytest.raises(LoadError, match="no such array") as caught:
        source(tmp_path / "x.npz", array="image")
    assert ('array = "images"', "") in caught.value.tries
    np.save(tmp_path / "x.npy", np.arange(3))
    with pytest.raises(LoadError, match="one array without a name"):
        source(tmp_path / "x.npy", array="x")


def test_an_array_without_an_axis_has_no_rows(tmp_path):
    np.save(tmp_path / "x.npy", np.float32(1))
    with pytest.raises(LoadError, match="without an axis"):
        source(tmp_path / "x.npy")


def test_plain_members_are_read_by_range_and_compressed_ones_loaded_once(tmp_path, monkeypatch):
    opened = []
    plain = zipfile.ZipFile.open

    def count(self: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(getattr(name, "filename", name))
        return plain(self, name, *args, **kwargs)

    np.savez(tmp_path / "x.npz", x=np.arange(1000))
    np.savez_compressed(tmp_path / "y.npz", x=np.arange(1000))
    stored, packed = source(tmp_path / "x.npz"), source(tmp_path / "y.npz")
    monkeypatch.setattr(zipfile.ZipFile, "open", count)
    for start in (10, 500, 20):
        assert rows(stored, start, start + 2).tolist() == [start, start + 1]
    assert opened == []
    for start in (10, 500, 20):
        assert rows(packed, start, start + 2).tolist() == [start, start + 1]
    assert opened == ["x.npy", "x.npy"]


def test_a_compressed_array_larger_than_memory_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(100_000))
    opened = source(tmp_path / "x.npz")
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: type("Memory", (), {"available": 500_000})
    )
    with pytest.raises(LoadError, match="does not fit into memory"):
        opened.read(0, 1)


def test_a_damaged_compressed_array_is_said_to_be_damaged(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).integers(0, 9, 10_000))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(LoadError, match="a compressed array is damaged"):
        source(path).read(0, 1)


def test_one_file_is_read_and_a_folder_of_several_refused(tmp_path):
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, np.arange(3))
    with pytest.raises(LoadError, match="reads one file"):
        source(tmp_path)
