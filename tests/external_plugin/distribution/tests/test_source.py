"""The source of this plugin under Foretell's own contract."""

import os

import numpy as np
import pytest
from foretell.testing import SourceContract
from foretell_weather.source import ObservationOptions, ObservationSource

N, GARBLED = 50, 17


def observation(row):
    if row == GARBLED:
        return "S3 2026-01-01T17 not-a-number 1000 50"
    return f"S{row % 7} 2026-01-01T{row % 24:02} {row - 20} {1000 + row} {50 + row % 40}"


def write(path, changed=None):
    lines = ["# station hour temperature pressure humidity", *map(observation, range(N))]
    lines[5] += "\n# a comment between two observations\n"
    if changed is not None:
        lines[-1] = changed
    path.write_text("\n".join(lines))


class TestObservations(SourceContract):
    source_class = ObservationSource

    @pytest.fixture
    def path(self, tmp_path):
        write(tmp_path / "small.obs")
        return tmp_path / "small.obs"

    @pytest.fixture
    def source_options(self, path):
        return ObservationOptions(path=path.name).at(path.parent)

    @pytest.fixture
    def expected(self):
        row = np.arange(N)
        good = row != GARBLED
        stations = [f"S{i % 7}" if i != GARBLED else "" for i in range(N)]
        return {
            "station": np.array(stations, dtype=object),
            "temperature": np.where(good, row - 20, 0).astype(np.float32),
            "pressure": np.where(good, 1000 + row, 0).astype(np.float32),
            "humidity": np.where(good, 50 + row % 40, 0).astype(np.float32),
        }

    @pytest.fixture
    def bad_rows(self):
        return frozenset({GARBLED})

    @pytest.fixture
    def change(self, path):
        return lambda: write(path, "S0 2026-01-01T01 99 1000 50")

    @pytest.fixture
    def touch(self, path):
        return lambda: os.utime(path, (0, 0))
