"""``kind = "observations"``: rows of a text file, as columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from foretell.abc import Source, SourceOptions
from foretell.errors import ConfigError, LoadError
from foretell.types import Layout, RowError, Rows, SourceSpec
from pydantic import Field

from foretell_weather.observations import index_file, parse

NUMBERS = ("temperature", "pressure", "humidity")


class ObservationOptions(SourceOptions):
    """``[source]`` with ``kind = "observations"``."""

    kind: Literal["observations"] = Field(default="observations", description="observations")


class ObservationSource(Source):
    """Observations of a file: float32 numbers, and the station's name."""

    Options = ObservationOptions
    unit = "observations"

    def __init__(self, options: ObservationOptions) -> None:
        if options.path is None:
            raise ConfigError("the job names no observations", facts=[("missing", "source.path")])
        self.options = options
        self._path = Path(options.resolve(options.path))
        try:
            self._index = index_file(self._path)
        except OSError as error:
            raise LoadError(
                "the observations cannot be read",
                facts=[("file", str(self._path)), ("cause", str(error))],
            ) from error

    @property
    def spec(self) -> SourceSpec:
        columns = dict.fromkeys(NUMBERS, ((), "float32"))
        return SourceSpec(Layout.COLUMNS, columns={"station": ((), "str"), **columns})

    def __len__(self) -> int:
        return len(self._index.lines)

    def read(self, start: int, stop: int) -> Rows:
        records, errors = [], []
        for row, line in enumerate(self._lines(start, stop), start):
            try:
                records.append(parse(line))
            except ValueError as error:
                records.append(("", 0.0, 0.0, 0.0))
                errors.append(RowError(row, "ValueError", str(error), self.locate(row)))
        stations = np.array([record[0] for record in records], dtype=object)
        numbers = np.array([record[1:] for record in records], dtype=np.float32).reshape(-1, 3)
        columns = {name: numbers[:, at].copy() for at, name in enumerate(NUMBERS)}
        return Rows({"station": stations, **columns}, tuple(errors))

    def fingerprint(self) -> Mapping[str, str]:
        parts = {"name": self._path.name, "size": str(self._path.stat().st_size)}
        digest = hashlib.sha256(self._path.read_bytes()).hexdigest()
        return {**parts, "content": f"sha256:{digest}"}

    def locate(self, row: int) -> str:
        if 0 <= row < len(self):
            return f"{self._path.name}:{self._index.lines[row]}"
        return f"row {row}"

    def row_bytes(self) -> int:
        return 12

    def _lines(self, start: int, stop: int) -> list[bytes]:
        """The lines of these rows; what lies between two of them is comment."""
        if start == stop:
            return []
        first, last = self._index.offsets[start], self._index.offsets[stop]
        with self._path.open("rb") as file:
            file.seek(first)
            text = file.read(int(last - first)) + b"\n"
        at = self._index.offsets[start:stop] - first
        return [text[begin : text.index(b"\n", begin)] for begin in at.tolist()]
