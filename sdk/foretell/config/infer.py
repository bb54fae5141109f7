"""What kind of source or writer a path means, where the job does not say."""

from __future__ import annotations

from pathlib import Path

_SOURCES = {
    ".zarr": "zarr",
    ".npy": "npy",
    ".npz": "npz",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_WRITERS = {".zarr": "zarr", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
FILE_WRITERS = frozenset(_WRITERS.values())
_ZARR_FILES = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")

DEFAULT_PREDICTOR = "callable"


def source_kind(path: str, base: Path) -> str | None:
    """The kind of source at ``path`` by its suffix, or by what the folder holds."""
    kind = _SOURCES.get(_suffix(path))
    if kind is None and "://" not in path:
        kind = _folder_kind(base / Path(path).expanduser())
    return kind


def _folder_kind(folder: Path) -> str | None:
    try:
        if any((folder / name).is_file() for name in _ZARR_FILES):
            return "zarr"
        if folder.is_dir() and any(folder.glob("*.parquet")):
            return "parquet"
    except OSError:
        return None
    return None


def writer_kind(path: str) -> str:
    """The kind of writer for the output ``path``: by suffix, zarr otherwise."""
    return named_writer(path) or "zarr"


def named_writer(path: str) -> str | None:
    """The kind of writer the suffix of ``path`` promises, if it promises one."""
    return _WRITERS.get(_suffix(path))


def _suffix(path: str) -> str:
    return Path(path.partition("?")[0].rstrip("/")).suffix.lower()
