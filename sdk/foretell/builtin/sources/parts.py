"""Fingerprint parts of a set of local files. How they compare: :mod:`foretell.fingerprint`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from foretell.abc import SourceOptions
from foretell.builtin.sources.files import DataFile, opening
from foretell.text import plural, size

SAMPLE_BYTES = 64 * 1024
"""Bytes of one sample."""

SAMPLES = 64
"""Samples over all files: 4 MiB at most are read, however large the source."""

_READ = 4 * 2**20


def file_parts(
    files: Sequence[DataFile], options: SourceOptions, settings: Mapping[str, Any]
) -> dict[str, str]:
    """Parts for files, from names, sizes, times and samples; with ``content``, from all bytes too.

    Args:
        files: In the order their rows have.
        options: The source's settings, for how thorough to be.
        settings: The settings that decide what the rows are, e.g. which columns.
    """
    parts = {"settings": canonical(settings), **stat_parts(files)}
    parts["sample"] = sample_part(files)
    if options.fingerprint == "content":
        parts["content"] = content_part(files)
    return parts


def canonical(value: Any) -> str:
    """``value`` as JSON with sorted keys: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(", ", ": "))


def stat_parts(files: Sequence[DataFile]) -> dict[str, str]:
    """``files`` (names and sizes) and ``modified`` (times), without reading anything."""
    names = sha256(f"{file.name!r} {file.size}\n".encode() for file in files)
    times = sha256(f"{file.name!r} {file.mtime_ns}\n".encode() for file in files)
    total = sum(file.size for file in files)
    newest = max((file.mtime_ns for file in files), default=0)
    when = datetime.fromtimestamp(newest // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "files": f"{plural(len(files), 'file')}, {size(total)}, {names}",
        "modified": f"{when}, {times}",
    }


def sample_part(files: Sequence[DataFile]) -> str:
    """Hash of bytes at evenly spaced places of evenly spaced files, first and last included."""
    chosen = [files[i] for i in spread(len(files), SAMPLES)]
    each = max(2, SAMPLES // max(1, len(chosen)))
    return sha256(block for file in chosen for block in _sample(file, each))


def spread(length: int, most: int) -> list[int]:
    """At most ``most`` positions out of ``length``, evenly spaced from the first to the last."""
    if length <= most:
        return list(range(length))
    return [i * (length - 1) // (most - 1) for i in range(most)]


def _sample(file: DataFile, blocks: int) -> Iterable[bytes]:
    with opening(file.path), open(file.path, "rb") as handle:
        return samples(handle.fileno(), file.size, blocks, SAMPLE_BYTES)


def samples(handle: int, length: int, blocks: int, block: int) -> list[bytes]:
    """Evenly spaced pieces of an open file; the whole of it when it is small."""
    if length <= blocks * block:
        return [os.pread(handle, max(length, 1), 0)]
    starts = [i * (length - block) // (blocks - 1) for i in range(blocks)]
    return [os.pread(handle, block, start) for start in starts]


def content_part(files: Sequence[DataFile]) -> str:
    """Hash of every byte of every file, with their names."""
    return sha256(block for file in files for block in _content(file))


def _content(file: DataFile) -> Iterable[bytes]:
    yield f"{file.name!r} {file.size}\n".encode()
    with opening(file.path), open(file.path, "rb", buffering=0) as handle:
        while block := handle.read(_READ):
            yield block


def sha256(blocks: Iterable[bytes | memoryview]) -> str:
    """``sha256:`` and the hash of the blocks one after the other."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return f"sha256:{digest.hexdigest()}"
