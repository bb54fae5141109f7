"""The file format: ``STATION HOUR TEMPERATURE PRESSURE HUMIDITY`` a line, ``#`` for comments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Index:
    """Where the observations of a file are.

    Attributes:
        offsets: int64 ``(n + 1,)``, byte offset of each observation's line, and the end.
        lines: int64 ``(n,)``, 1-based line number of each.
    """

    offsets: np.ndarray
    lines: np.ndarray


def index_file(path: Path) -> Index:
    """Find the observations of a file."""
    offsets, numbers, at = [], [], 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and not line.startswith(b"#"):
                offsets.append(at)
                numbers.append(number)
            at += len(line)
    return Index(np.array([*offsets, at], dtype=np.int64), np.array(numbers, dtype=np.int64))


def parse(line: bytes) -> tuple[str, float, float, float]:
    """Station, temperature in degrees Celsius, pressure in hPa, relative humidity in percent.

    Raises:
        ValueError: the line is no observation.
    """
    fields = line.decode("utf-8").split()
    if len(fields) != 5:
        raise ValueError(f"expected 5 fields, got {len(fields)}")
    station, _, *numbers = fields
    temperature, pressure, humidity = map(float, numbers)
    return station, temperature, pressure, humidity
