"""Every built-in source of arrays and objects keeps the contract, in each shape of data."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import zarr
from foretell.builtin.sources.memory import MemorySource
from foretell.builtin.sources.npy import NpyOptions, NpySource
from foretell.builtin.sources.zarr import ZarrOptions, ZarrSource
from foretell.testing.source import SourceContract
from touched import later

VALUES = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")


# --- zarr -----------------------------------------------------------------------------------------


class ZarrContract(SourceContract):
    source_class = ZarrSource
    version: Literal[2, 3] = 3
    create: ClassVar[dict[str, Any]]

    @pytest.fixture
    def store(self, tmp_path: Path) -> Path:
        group = zarr.open_group(str(tmp_path / "x.zarr"), mode="w", zarr_format=self.version)
        created = group.create_array("rgb", shape=VALUES.shape, dtype="float32", **self.create)
        created[:] = VALUES
        return tmp_path / "x.zarr"

    @pytest.fixture
    def source_options(self, store: Path) -> Any:
        return ZarrOptions(path="x.zarr", array="rgb").at(store.parent)

    @pytest.fixture
    def expected(self) -> np.ndarray:
        return VALUES

    @pytest.fixture
    def change(self, store: Path) -> Callable[[], object]:
        def change() -> None:
            zarr.open_array(str(store / "rgb"), mode="r+")[17] = 0

        return change

    @pytest.fixture
    def touch(self, store: Path) -> Callable[[], object]:
        return lambda: deque(map(later, filter(Path.is_file, store.rglob("*"))))


class TestZarr2(ZarrContract):
    version = 2
    create: ClassVar = {"chunks": (7, 2)}


class TestZarr3(ZarrContract):
    create: ClassVar = {"chunks": (7, 3)}


class TestZarr3Uncompressed(ZarrContract):
    create: ClassVar = {"chunks": (8, 3), "compressors": None}


class TestZarr3Sharded(ZarrContract):
    create: ClassVar = {"chunks": (4, 2), "shards": (16, 4)}


class TestZarr3RowByRow(ZarrContract):
    create: ClassVar = {"chunks": (1, 3)}


class TestZarrColumns(SourceContract):
    source_class = ZarrSource

    @pytest.fixture
    def store(self, tmp_path: Path, expected: dict[str, np.ndarray]) -> Path:
        group = zarr.open_group(str(tmp_path / "x.zarr"), mode="w")
        for name, values in expected.items():
            dtype = "str" if values.dtype == object else values.dtype
            group.create_array(
                name, shape=values.shape, dtype=dtype, chunks=(9, *values.shape[1:])
            )[:] = values
        return tmp_path / "x.zarr"

    @pytest.fixture
    def source_options(self, store: Path, expected: dict[str, np.ndarray]) -> Any:
        return ZarrOptions(path=str(store), arrays=tuple(expected))

    @pytest.fixture
    def expected(self) -> dict[str, np.ndarray]:
        texts = np.array([f"naïve {i} 日本\n" for i in range(50)], dtype=object)
        return {"text": texts, "deep/flag": VALUES[:, 0] > 0, "rgb": VALUES}

    @pytest.fixture
    def change(self, store: Path) -> Callable[[], object]:
        def change() -> None:
            zarr.open_array(str(store / "deep/flag"), mode="r+")[0] = VALUES[0, 0] <= 0

        return change


class TestZarrEmpty(SourceContract):
    source_class = ZarrSource

    @pytest.fixture
    def source_options(self, tmp_path: Path) -> Any:
        zarr.create_array(str(tmp_path / "x.zarr"), shape=(0, 4), dtype="int16", chunks=(5, 4))
        return ZarrOptions(path=str(tmp_path / "x.zarr"))

    @pytest.fixture
    def expected(self) -> np.ndarray:
        return np.empty((0, 4), "int16")


# --- npy ------------------------------------------------------------------------------------------


class NpyContract(SourceContract):
    source_class = NpySource
    array = VALUES

    @pytest.fixture
    def source_options(self, tmp_path: Path) -> Any:
        np.save(tmp_path / "x.npy", self.array)
        return NpyOptions(path="x.npy").at(tmp_path)

    @pytest.fixture
    def expected(self) -> np.ndarray:
        return np.ascontiguousarray(self.array, dtype=self.array.dtype.newbyteorder("="))

    @pytest.fixture
    def change(self, tmp_path: Path) -> Callable[[], object]:
        changed = self.array.copy()
        changed[3] = changed[4]
        return lambda: np.save(tmp_path / "x.npy", changed)

    @pytest.fixture
    def touch(self, tmp_path: Path) -> Callable[[], object]:
        return lambda: later(tmp_path / "x.npy")


class TestNpy(NpyContract):
    pass


class TestNpyFortran(NpyContract):
    array = np.asfortranarray(VALUES)


class TestNpyBigEndian(NpyContract):
    array = VALUES.astype(">i4")


class TestNpyText(NpyContract):
    array = np.array(["one", "two", "three", "four", "naïve"])


class TestNpyTimes(NpyContract):
    array = np.arange(9).astype("datetime64[s]")


class NpzContract(SourceContract):
    source_class = NpySource
    save: Callable[..., None]

    @pytest.fixture
    def source_options(self, tmp_path: Path, expected: dict[str, np.ndarray]) -> Any:
        type(self).save(tmp_path / "x.npz", **expected)
        return NpyOptions(kind="npz", path=str(tmp_path / "x.npz"))

    @pytest.fixture
    def expected(self) -> dict[str, np.ndarray]:
        return {"x": VALUES, "id": np.arange(50), "flag": VALUES[:, 1] > 0}

    @pytest.fixture
    def change(self, tmp_path: Path, expected: dict[str, np.ndarray]) -> Callable[[], object]:
        changed = {**expected, "id": expected["id"][::-1]}
        return lambda: type(self).save(tmp_path / "x.npz", **changed)


class TestNpz(NpzContract):
    save = np.savez


class TestNpzCompressed(NpzContract):
    save = np.savez_compressed


# --- memory ---------------------------------------------------------------------------------------


class MapStyle:
    """Neither a list nor an array; row 4 is broken."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        if row == 4:
            raise ValueError("no such\ntile")
        return self.rows[row]


class MemoryContract(SourceContract):
    source_class = MemorySource

    @pytest.fixture
    def make_source(self, data: Any) -> Callable[[], MemorySource]:
        return lambda: MemorySource(data)


class TestMemoryArray(MemoryContract):
    @pytest.fixture
    def data(self) -> np.ndarray:
        return VALUES.copy()

    @pytest.fixture
    def expected(self) -> np.ndarray:
        return VALUES

    @pytest.fixture
    def change(self, data: np.ndarray) -> Callable[[], object]:
        return lambda: data.__setitem__((49, 2), 0)


class TestMemoryColumns(MemoryContract):
    @pytest.fixture
    def data(self) -> dict[str, Any]:
        return {"x": VALUES.copy(), "name": [f"n{i}" for i in range(50)]}

    @pytest.fixture
    def expected(self) -> dict[str, np.ndarray]:
        return {"x": VALUES, "name": np.array([f"n{i}" for i in range(50)])}

    @pytest.fixture
    def change(self, data: dict[str, Any]) -> Callable[[], object]:
        return lambda: data["x"].__setitem__((0, 0), 0)


class TestMemoryRecords(MemoryContract):
    @pytest.fixture
    def data(self) -> list[Any]:
        return [{"i": i, "x": VALUES[i], "b": b"raw"} for i in range(20)]

    @pytest.fixture
    def expected(self, data: list[Any]) -> list[Any]:
        return list(data)

    @pytest.fixture
    def change(self, data: list[Any]) -> Callable[[], object]:
        return lambda: data.__setitem__(7, {"i": 7, "x": VALUES[8], "b": b"raw"})

    @pytest.fixture
    def touch(self, data: list[Any]) -> Callable[[], object]:
        return lambda: data.__setitem__(7, {"b": b"raw", "x": VALUES[7].copy(), "i": 7})


class TestMemoryMapStyle(MemoryContract):
    @pytest.fixture
    def data(self) -> MapStyle:
        return MapStyle([(i, str(i)) for i in range(12)])

    @pytest.fixture
    def expected(self) -> list[Any]:
        return [None if i == 4 else (i, str(i)) for i in range(12)]

    @pytest.fixture
    def bad_rows(self) -> frozenset[int]:
        return frozenset({4})

    @pytest.fixture
    def change(self, data: MapStyle) -> Callable[[], object]:
        return lambda: data.rows.__setitem__(11, (11, "eleven"))


class TestMemoryEmpty(MemoryContract):
    @pytest.fixture
    def data(self) -> np.ndarray:
        return np.empty((0, 3), "float16")

    @pytest.fixture
    def expected(self) -> np.ndarray:
        return np.empty((0, 3), "float16")
