"""Where data and outputs lie, and how the data is made."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

FEATURES = 64
SOURCE_CHUNK = 16_384


def scratch() -> Path:
    """A folder for data that is kept between runs, ``$FORETELL_BENCH_DIR`` or a temporary one."""
    default = Path(tempfile.gettempdir()) / "foretell-benchmarks"
    place = Path(os.environ.get("FORETELL_BENCH_DIR", default))
    place.mkdir(parents=True, exist_ok=True)
    return place


def empty(name: str) -> Path:
    """The path of an output that does not exist (any more)."""
    path = scratch() / "out" / name
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def features(rows: int) -> Path:
    """Workload A's source: ``rows x 64`` float32 in an uncompressed Zarr array, made once."""
    import zarr

    path = scratch() / f"features-{rows}.zarr"
    if not (path / "made").exists():
        shutil.rmtree(path, ignore_errors=True)
        array = zarr.create_array(
            path,
            shape=(rows, FEATURES),
            chunks=(SOURCE_CHUNK, FEATURES),
            dtype="float32",
            compressors=None,
            dimension_names=("sample", "feature"),
        )
        generator = np.random.default_rng(0)
        for start in range(0, rows, SOURCE_CHUNK):
            stop = min(rows, start + SOURCE_CHUNK)
            array[start:stop] = generator.standard_normal((stop - start, FEATURES), np.float32)
        (path / "made").touch()
    return path


def features_parquet(rows: int) -> Path:
    """The same rows as Parquet files, for peers that read no Zarr: one file a source chunk."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zarr

    folder = scratch() / f"features-{rows}.parquet"
    if not (folder / "_made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        array = zarr.open_array(features(rows), mode="r")
        for number, start in enumerate(range(0, rows, SOURCE_CHUNK)):
            block = np.asarray(array[start : start + SOURCE_CHUNK])
            values = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), FEATURES)
            table = pa.table({"x": values})
            pq.write_table(table, folder / f"{number:05d}.parquet", compression="none")
        (folder / "_made").touch()
    return folder


def texts(rows: int) -> Path:
    """Documentation strings of the standard library, repeated when there are too few."""
    path = scratch() / f"texts-{rows}.jsonl"
    if not path.exists():
        collect = _collect()
        found: list[str] = []
        while len(found) < rows:
            found += [json.dumps(record) for record in collect()]
        # Evenly from all over, because neighbours are alike.
        chosen = [found[at * len(found) // rows] for at in range(rows)]
        path.write_text("\n".join(chosen) + "\n", encoding="utf-8")
    return path


def _collect():
    import sysconfig

    file = Path(__file__).parents[2] / "examples" / "sentences" / "collect.py"
    spec = importlib.util.spec_from_file_location("collect", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda: module.collect(Path(sysconfig.get_path("stdlib")))


def small_numbers(rows: int) -> Path:
    """One byte a row, for runs whose work is next to nothing."""
    path = scratch() / f"bytes-{rows}.npy"
    if not path.exists():
        np.save(path, (np.arange(rows) % 251).astype(np.uint8)[:, None])
    return path


def has(package: str) -> bool:
    """Whether a package is installed; it is not imported."""
    return importlib.util.find_spec(package) is not None


def python(*words: str) -> list[str]:
    """A command that runs this Python."""
    return [sys.executable, *words]


def models() -> Path:
    """The folder of the benchmarks' models."""
    return Path(__file__).parents[1] / "models"
