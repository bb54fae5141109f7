"""One array inside an .npy or .npz file: its header, and ranges of its rows.

Ranges are read into fresh memory, not mapped: a file that is cut short gives an error instead of
killing the process, and pages of it are never counted as memory of the worker.
"""

from __future__ import annotations

import math
import os
import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import psutil
from numpy.lib import format as npy

from foretell.builtin.sources.dtypes import native
from foretell.builtin.sources.files import DataFile
from foretell.builtin.sources.guard import read_exactly
from foretell.errors import LoadError
from foretell.text import size, visible

_LOCAL_HEADER = struct.Struct("<26xHH")


@dataclass(slots=True)
class Member:
    """An array, where it is, and how to read rows of it.

    Attributes:
        shape: Shape of the whole array.
        dtype: As stored.
        fortran: Whether the first axis varies fastest.
        offset: Where its values begin in the file.
        packed: Name of the compressed member that holds it, or "".
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int
    packed: str = ""
    _whole: np.ndarray | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, handle: int, start: int, stop: int, file: DataFile) -> np.ndarray:
        """Rows ``start`` to ``stop`` in fresh memory."""
        if self.packed:
            return np.array(self._loaded(handle)[start:stop])
        if self.fortran and len(self.shape) > 1:
            return self._strided(handle, start, stop)
        out = np.empty((stop - start, *self.shape[1:]), dtype=self.dtype)
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        if out.size:
            view = out.reshape(-1).view(np.uint8).data
            read_exactly(handle, view, self.offset + start * row, file)
        return native(out)

    def _strided(self, handle: int, start: int, stop: int) -> np.ndarray:
        with open(handle, "rb", closefd=False) as file:
            if not math.prod(self.shape):
                return np.empty((stop - start, *self.shape[1:]), self.dtype.newbyteorder("="))
            mapped: np.ndarray = np.memmap(
                file, self.dtype, "r", self.offset, self.shape, order="F"
            )
            # The mapping goes with this call, so what it touched is not kept.
            return native(np.array(mapped[start:stop], order="C"))

    def _loaded(self, handle: int) -> np.ndarray:
        with self._lock:
            if self._whole is None:
                with open(handle, "rb", closefd=False) as file:
                    self._whole = native(loaded(file, self.packed))
            return self._whole


def plain(handle: int, offset: int, end: int) -> Member:
    """The array whose header begins at ``offset``; its values must end by ``end``.

    Raises:
        ValueError: no header, or the file is too short for the array.
    """
    with open(handle, "rb", closefd=False) as file:
        file.seek(offset)
        member = _header(file)
        member.offset = file.tell()
    needed = math.prod(member.shape) * member.dtype.itemsize
    if not member.dtype.hasobject and member.offset + needed > end:
        raise ValueError(f"{needed:,} bytes of values promised, {end - member.offset:,} there")
    return member


def _header(file: IO[bytes]) -> Member:
    # Version 3 exists for the field names of structured records, which are refused anyway.
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in readers:
        raise ValueError(f"version {version} of the format is not read")
    shape, fortran, dtype = readers[version](file)
    if any(extent < 0 for extent in shape):
        raise ValueError(f"impossible shape {shape}")
    return Member(tuple(shape), dtype, bool(fortran), 0)


def members(handle: int) -> dict[str, Member]:
    """The arrays of an .npz file, by name without ``.npy``."""
    with open(handle, "rb", closefd=False) as file, zipfile.ZipFile(file) as archive:
        return {
            info.filename.removesuffix(".npy"): _member(archive, info, handle)
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, handle: int) -> Member:
    if info.flag_bits & 1:
        raise ValueError(f"{visible(info.filename)} is encrypted")
    if info.compress_type == zipfile.ZIP_STORED:
        # Only the header before the values knows how long itself is.
        name, extra = _LOCAL_HEADER.unpack(os.pread(handle, _LOCAL_HEADER.size, info.header_offset))
        begin = info.header_offset + _LOCAL_HEADER.size + name + extra
        return plain(handle, begin, begin + info.file_size)
    with archive.open(info) as packed:
        member = _header(packed)
    member.packed = info.filename
    return member


def loaded(file: IO[bytes], name: str) -> np.ndarray:
    """A compressed member, whole.

    Raises:
        LoadError: it is larger than the memory that is free.
    """
    with zipfile.ZipFile(file) as archive, archive.open(name) as packed:
        member = _header(packed)
        needed = math.prod(member.shape) * member.dtype.itemsize
        if needed > 0.8 * psutil.virtual_memory().available:
            raise LoadError(
                "a compressed array must be loaded whole and does not fit into memory",
                facts=[("array", visible(name)), ("size", size(needed))],
                tries=[("save it with numpy.save or numpy.savez", "then it is read by range")],
            )
    try:
        with zipfile.ZipFile(file) as archive, archive.open(name) as packed:
            return np.asarray(npy.read_array(packed, allow_pickle=False))
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise LoadError(
            "a compressed array is damaged",
            facts=[("array", visible(name)), ("reason", visible(str(error)))],
        ) from error
