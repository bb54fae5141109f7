"""One file of the spool: the predictions of many rows, with the identity of each.

A segment is a safetensors file, so anybody can read it. Its tensors are ``row`` (int64, the row's
identity), ``gap`` (int64, rows whose batch was predicted to be None), and one or two for each
output; its metadata says the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
import numpy as np
from foretell.errors import ShapeMismatch, StoreError
from foretell.rows import allocate
from foretell.types import Arrays, OutputSpec

from foretell_torch.writer.places import Rows, as_numbers

FORMAT = "foretell-predictions-1"


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of one rank and one loader.

    Attributes:
        rank: Who predicted them.
        loader: Index of the loader.
        rows: Index in the loader's dataset, or the rank's own count.
        arrays: Outputs, ``n`` rows each. Ragged ones are padded to the longest row in here.
        lengths: For ragged outputs, int64 ``(n,)``: real length of each row's first dimension.
        gaps: int64: rows without a prediction.
        files: For predictions that lie in files of their own: (name, number of rows), in order.
    """

    rank: int
    loader: int
    rows: Rows
    arrays: Arrays
    lengths: Mapping[str, np.ndarray] = field(default_factory=dict)
    gaps: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    files: tuple[tuple[str, int], ...] = ()

    def specs(self) -> list[OutputSpec]:
        """Shape and dtype of a row of every output."""
        return [
            OutputSpec(name, tuple(values.shape[1:]), _dtype(values))
            for name, values in self.arrays.items()
        ]


def encode(segment: Segment) -> bytes:
    """The file of a segment."""
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {"row": as_numbers(segment.rows), "gap": segment.gaps}
    outputs = []
    for number, (name, values) in enumerate(segment.arrays.items()):
        dtype = _dtype(values)
        outputs.append({"name": name, "dtype": dtype, "shape": list(values.shape[1:])})
        if dtype in ("str", "json"):
            tensors[f"{number}.bytes"], tensors[f"{number}.ends"] = _texts(values, dtype)
        else:
            tensors[str(number)] = np.ascontiguousarray(values)
        if name in segment.lengths:
            tensors[f"{number}.lengths"] = segment.lengths[name]
    about = {
        "format": FORMAT,
        "rank": segment.rank,
        "loader": segment.loader,
        "outputs": outputs,
        "files": segment.files,
        "crc": {name: _crc(array) for name, array in tensors.items()},
    }
    data: bytes = save(tensors, metadata={"foretell": json.dumps(about)})
    return data


def decode(data: bytes, key: str) -> Segment:
    """The segment in a file.

    Args:
        data: Its bytes.
        key: Its name, for messages.

    Raises:
        StoreError: a byte of it is not as it was written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        about = about_of(data)
        tensors = load(data)
        wrong = [n for n, crc in about["crc"].items() if _crc(tensors[n]) != crc]
        if wrong:
            raise ValueError(f"the checksum of {wrong[0]} does not match")
        arrays: Arrays = {}
        lengths: dict[str, np.ndarray] = {}
        for number, output in enumerate(about["outputs"]):
            name = output["name"]
            arrays[name] = _values(tensors, str(number), output)
            if f"{number}.lengths" in tensors:
                lengths[name] = tensors[f"{number}.lengths"]
        files = tuple((str(name), int(count)) for name, count in about["files"])
        return Segment(
            about["rank"],
            about["loader"],
            tensors["row"],
            arrays,
            lengths,
            tensors["gap"],
            files,
        )
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
        raise StoreError(
            "a stored segment of predictions is damaged",
            facts=[("file", key), ("because", str(error) or type(error).__name__)],
            tries=[("remove it and predict again", "its rows are predicted again, no others")],
            slug="store-damaged",
        ) from error


def about_of(data: bytes) -> dict[str, Any]:
    """What a segment's metadata says, without its arrays.

    Raises:
        ValueError: this is no segment.
    """
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    about: dict[str, Any] = json.loads(header["__metadata__"]["foretell"])
    if about["format"] != FORMAT:
        raise ValueError(f"it has format {about['format']}, this program knows {FORMAT}")
    return about


def joined(rank: int, loader: int, batches: list[tuple[Rows, Arrays]]) -> Segment:
    """A segment of several batches; rows of different length are padded on the right.

    Args:
        rank: Who predicted them.
        loader: Index of the loader.
        batches: (rows, outputs) of each; equal names, dtypes and, but for the first dimension of a
            row, equal shapes.

    Raises:
        ShapeMismatch: they are not equal, naming the output.
    """
    rows: Rows = batches[0][0] if batches else range(0)
    if len(batches) > 1:
        rows = np.concatenate([as_numbers(rows) for rows, _ in batches])
    arrays: Arrays = {}
    lengths: dict[str, np.ndarray] = {}
    for name in batches[0][1] if batches else ():
        parts = [outputs[name] for _, outputs in batches]
        longest = max(part.shape[1] if part.ndim > 1 else 0 for part in parts)
        if all(part.ndim < 2 or part.shape[1] == longest for part in parts):
            arrays[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
            continue
        arrays[name] = np.concatenate([widened(name, part, longest) for part in parts])
        lengths[name] = np.concatenate([np.full(len(p), p.shape[1], np.int64) for p in parts])
    return Segment(rank, loader, rows, arrays, lengths)


def widened(name: str, values: np.ndarray, longest: int) -> np.ndarray:
    """Rows padded on the right with what stands for nothing: NaN, 0, False or ""."""
    if values.shape[1] == longest:
        return values
    spec = OutputSpec(name, (longest, *values.shape[2:]), _dtype(values))
    wide = allocate(spec, len(values))
    wide[:, : values.shape[1]] = values
    return wide


def check_like(known: Mapping[str, OutputSpec], outputs: Arrays) -> None:
    """Refuse a batch whose outputs are not those of the batches before it.

    Raises:
        ShapeMismatch: naming the output, what was expected and what came.
    """
    if known.keys() != outputs.keys():
        raise ShapeMismatch(
            "a batch has other outputs than the batches before it",
            facts=[("expected", ", ".join(known)), ("got", ", ".join(outputs))],
        )
    for name, values in outputs.items():
        spec = known[name]
        got = OutputSpec(name, tuple(values.shape[1:]), _dtype(values))
        if _fixed(got) != _fixed(spec):
            raise ShapeMismatch(
                "a batch has another shape or dtype than the batches before it",
                facts=[
                    ("output", name),
                    ("expected", f"{spec.describe()}, the first dimension free"),
                    ("got", got.describe()),
                ],
            )


def _fixed(spec: OutputSpec) -> tuple[object, ...]:
    """What must be equal in all batches: all but the length of a row's first dimension."""
    return (spec.dtype, len(spec.shape), spec.shape[1:])


def _dtype(values: np.ndarray) -> str:
    if values.dtype == object:
        return "str" if all(isinstance(value, str) for value in values.flat) else "json"
    return str(values.dtype)


def _texts(values: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """All texts one after the other, and where each ends."""
    texts = [v if dtype == "str" else json.dumps(v) for v in values.reshape(-1).tolist()]
    pieces = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    return np.frombuffer(b"".join(pieces), np.uint8), ends


def _values(tensors: Mapping[str, np.ndarray], stem: str, output: Mapping[str, Any]) -> np.ndarray:
    if output["dtype"] not in ("str", "json"):
        return tensors[stem]
    data, ends = tensors[f"{stem}.bytes"].tobytes(), tensors[f"{stem}.ends"].tolist()
    flat = np.empty(len(ends), dtype=object)
    start = 0
    for at, end in enumerate(ends):
        text = data[start:end].decode("utf-8", "surrogatepass")
        flat[at] = text if output["dtype"] == "str" else json.loads(text)
        start = end
    return flat.reshape(-1, *output["shape"])


def _crc(array: np.ndarray) -> int:
    return int(google_crc32c.value(np.ascontiguousarray(array).reshape(-1).view(np.uint8)))
