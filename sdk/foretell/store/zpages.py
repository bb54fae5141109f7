"""Zarr v3 arrays written and read page by page, with nothing but the standard library and NumPy.

Folds are Zarr arrays, so that anybody can open them. They are also read at every start, where
importing zarr would cost more than reading; so this module speaks just the part of the format that
folds use: chunks along axis 0, little-endian bytes, gzip, and a crc32c of each chunk.

Source: Zarr core specification 3.0 and the gzip and crc32c codec specifications.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import google_crc32c
import numpy as np

PAGE = 65_536
"""Chunks of the run in one page."""

_NAMES = {"u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "i4": "int32"}
_NAMES |= {"f8": "float64", "?": "bool"}
_GZIP_LEVEL = 1

Array = np.ndarray[Any, np.dtype[Any]]


def metadata(dtype: str, shape: tuple[int, ...]) -> bytes:
    """``zarr.json`` of an array of NumPy type ``dtype`` cut into pages."""
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": _NAMES[dtype],
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [page_rows(shape[0]), *shape[1:]]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": False if dtype == "?" else 0,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "gzip", "configuration": {"level": _GZIP_LEVEL}},
            {"name": "crc32c"},
        ],
        "attributes": {},
        "dimension_names": ["chunk", *(["object"] if len(shape) > 1 else [])],
    }
    return json.dumps(document, indent=1).encode()


def page_rows(n: int) -> int:
    """Rows of every page of an array with ``n`` rows."""
    return max(1, min(n, PAGE))


def page_count(n: int) -> int:
    """Pages of an array with ``n`` rows."""
    return -(-n // PAGE)


def page_key(number: int, ndim: int) -> str:
    """Key of page ``number`` below the array's."""
    return "/".join(["c", str(number), *["0"] * (ndim - 1)])


def encode_page(column: Array, number: int) -> bytes:
    """Bytes of one page of ``column``; the last one is filled up with zeros as Zarr wants it."""
    rows = column[number * PAGE : (number + 1) * PAGE]
    missing = page_rows(len(column)) - len(rows)
    if missing:
        rows = np.concatenate((rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)))
    little = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))
    packer = zlib.compressobj(_GZIP_LEVEL, wbits=31)
    data = packer.compress(little.tobytes()) + packer.flush()
    return data + int(google_crc32c.value(data)).to_bytes(4, "little")


def decode_page(data: bytes, dtype: str, shape: tuple[int, ...]) -> Array:
    """One page of an array of that ``shape``, as many rows as every page has.

    Raises:
        ValueError: the bytes are damaged or hold another number of values.
    """
    body, crc = data[:-4], data[-4:]
    if int(google_crc32c.value(body)).to_bytes(4, "little") != crc:
        raise ValueError("the checksum of a page does not match")
    kind = np.dtype(dtype).newbyteorder("<")
    rows = page_rows(shape[0])
    size = rows * int(np.prod(shape[1:], dtype=np.int64)) * kind.itemsize
    unpacker = zlib.decompressobj(wbits=31)
    try:
        raw = unpacker.decompress(body, size + 1)
    except zlib.error as error:
        raise ValueError("a page cannot be unpacked") from error
    if len(raw) != size:
        raise ValueError("a page has another size")
    return np.frombuffer(raw, dtype=kind).reshape(rows, *shape[1:])
