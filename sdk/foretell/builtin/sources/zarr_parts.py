"""Fingerprint of Zarr arrays, and the check that they stay what they were."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from foretell.abc import SourceOptions
from foretell.builtin.sources.files import DataFile, opening
from foretell.builtin.sources.guard import changed
from foretell.builtin.sources.parts import canonical, file_parts, sha256
from foretell.builtin.sources.zarr_column import ZarrColumn
from foretell.builtin.sources.zarr_open import Node
from foretell.text import plural, size

if TYPE_CHECKING:
    import zarr
    from zarr.storage import ObjectStore

_DOCUMENTS = ("zarr.json", ".zarray", ".zattrs")


def zarr_parts(
    node: Node,
    columns: Sequence[ZarrColumn],
    options: SourceOptions,
    settings: Mapping[str, Any],
) -> dict[str, str]:
    """Parts for the metadata and the stored objects of these arrays, and of nothing else."""
    metadata = {column.name: described(column) for column in columns}
    parts = {"metadata": sha256([canonical(metadata).encode()])}
    if _is_local(node):
        files = sorted(_local_files(columns), key=lambda file: file.name)
        return {**file_parts(files, options, settings), **parts}
    return {"settings": canonical(settings), **parts, **_remote_parts(node, columns, options)}


def described(column: ZarrColumn) -> Any:
    """What decides how an array's objects are decoded, as plain data."""
    return str(
        sorted((k, v) for k, v in column.array.metadata.to_dict().items() if k != "attributes")
    )


def _is_local(node: Node) -> bool:
    from zarr.storage import LocalStore

    return isinstance(node.store, LocalStore)


def local_folder(node: Node, array: zarr.Array[Any]) -> str | None:
    """The folder with an array's objects; None when they are not in a local store."""
    if not _is_local(node):
        return None
    return os.path.normpath(os.path.join(node.root, *array.path.split("/")))


def _local_files(columns: Sequence[ZarrColumn]) -> Iterator[DataFile]:
    for column in columns:
        folder = column.folder or ""
        for parent, _, names in os.walk(folder):
            for name in names:
                # Metadata is a part of its own; attributes may change without changing a row.
                if name not in _DOCUMENTS:
                    path = os.path.join(parent, name)
                    with opening(path):
                        stat = os.stat(path)
                    inner = f"{column.name}/{os.path.relpath(path, folder)}"
                    yield DataFile(path, inner, stat.st_size, stat.st_mtime_ns)


def _remote_parts(
    node: Node, columns: Sequence[ZarrColumn], options: SourceOptions
) -> dict[str, str]:
    store: ObjectStore[Any] = node.store  # type: ignore[assignment]
    found = sorted(
        (entry["path"], entry["size"], entry.get("e_tag") or str(entry["last_modified"]))
        for column in columns
        for batch in store.store.list(prefix=column.array.path or None)
        for entry in batch
        if entry["path"].rpartition("/")[2] not in _DOCUMENTS
    )
    base = len(node.inner) + 1 if node.inner else 0
    total = sum(length for _, length, _ in found)
    names = sha256(f"{path[base:]!r} {length}\n".encode() for path, length, _ in found)
    parts = {
        "files": f"{plural(len(found), 'object')}, {size(total)}, {names}",
        "etag": sha256(f"{path[base:]!r} {tag}\n".encode() for path, _, tag in found),
    }
    if options.fingerprint == "content":
        parts["content"] = sha256(memoryview(store.store.get(path).bytes()) for path, _, _ in found)
    return parts


class MetadataGuard:
    """Notices that the metadata of local arrays changed: another shape means other rows."""

    def __init__(self, node: Node, columns: Sequence[ZarrColumn]) -> None:
        self._node, self._columns = node, columns
        self._lock = threading.Lock()
        self._paths = list(self._documents()) if _is_local(node) else []
        self._seen = self._stats()

    def _documents(self) -> Iterator[str]:
        for column in self._columns:
            for name in _DOCUMENTS[:2]:
                path = os.path.join(column.folder or "", name)
                if os.path.exists(path):
                    yield path

    def _stats(self) -> list[tuple[int, int]]:
        stats = [os.stat(path) for path in self._paths]
        return [(stat.st_size, stat.st_mtime_ns) for stat in stats]

    def check(self) -> None:
        """Return while every array is as it was when it was opened.

        Raises:
            LoadError: an array has another shape, dtype or way of being stored.
            OSError: its metadata is gone.
        """
        if not self._paths:
            return
        with self._lock:
            if (current := self._stats()) == self._seen:
                return
            for column in self._columns:
                self._compare(column)
            self._seen = current

    def _compare(self, column: ZarrColumn) -> None:
        import zarr

        again = zarr.open_array(store=self._node.store, path=column.array.path, mode="r")
        new = ZarrColumn(column.name, again, column.cache)
        if described(new) != described(column):
            file = DataFile(self._node.root, f"{self._node.root}/{column.array.path}", 0, 0)
            raise changed(file, f"{column.dtype} {column.shape} is now {new.dtype} {new.shape}")
