from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foretell.errors import ConfigError, LoadError
from foretell.testing import SourceContract

pytest.importorskip("torch")
pytest.importorskip("lightning")
from foretell_torch.lightning.loaders import (
    LightningLoaderOptions,
    LightningLoaderSource,
)
from foretell_torch.source import DatasetOptions, TorchDatasetSource
from nets import Numbers, Stream

HERE = Path(__file__).parent / "parts"


def _six(first):
    return np.arange(6, dtype="float32") + first


def records(n, broken=(), extra=0):
    return [
        None if i in broken else {"x": _six(i), "n": np.float32(i + extra), "name": f"item {i}"}
        for i in range(n)
    ]


class TestDataset(SourceContract):
    source_class = TorchDatasetSource
    heavy = ("torch",)

    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "seven"
        path.write_text("7 bytes")
        return path

    @pytest.fixture
    def source_options(self, file):
        options = {"n": 20, "broken": [3, 11], "path": str(file)}
        return DatasetOptions(dataset="nets:Numbers", options=options).at(HERE)

    @pytest.fixture
    def expected(self):
        return records(20, {3, 11}, 7)

    @pytest.fixture
    def bad_rows(self):
        return frozenset({3, 11})

    @pytest.fixture
    def change(self, file):
        return lambda: file.write_text("other")

    @pytest.fixture
    def touch(self, file):
        return lambda: file.write_text("7 other")


class TestLiveDataset(SourceContract):
    source_class = TorchDatasetSource
    heavy = ("torch",)

    @pytest.fixture
    def make_source(self):
        data = Numbers(12)
        return lambda: TorchDatasetSource.from_live(DatasetOptions(), data)

    @pytest.fixture
    def expected(self):
        return records(12)


class TestPredictLoader(SourceContract):
    source_class = LightningLoaderSource
    heavy = ("torch", "lightning")

    @pytest.fixture
    def source_options(self):
        options = {"n": 9}
        return LightningLoaderOptions(dataset="modules:Digits", options=options, loader=1).at(HERE)

    @pytest.fixture
    def expected(self):
        rows = np.random.default_rng(0).normal(size=(9, 6)).astype("float32")
        return [row * 10 for row in rows]


def test_processes_decode_the_same_rows_in_order():
    options = {"n": 50, "broken": [7, 8]}
    made = [
        TorchDatasetSource(
            DatasetOptions(dataset="nets:Numbers", options=options, num_workers=n).at(HERE)
        )
        for n in (0, 2)
    ]
    alone, several = (source.read(3, 47) for source in made)
    assert several.errors == alone.errors
    assert [e.locator for e in alone.errors] == ["nets:Numbers[7]", "nets:Numbers[8]"]
    for one, other in zip(alone.examples, several.examples, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one["x"], other["x"])
    for source in made:
        source.close()


def test_live_datasets_are_recognised_and_read_here():
    assert TorchDatasetSource.recognises(Numbers())
    assert not TorchDatasetSource.recognises([1])
    with pytest.raises(ConfigError, match="read in this process"):
        TorchDatasetSource.from_live(DatasetOptions(num_workers=2), Numbers())


def test_a_table_of_the_file_is_a_dataset():
    source = TorchDatasetSource(DatasetOptions(dataset="nets:table").at(HERE))
    items: Any = source.read(0, 5).examples
    assert [item["x"] for item in items] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"dataset": "nets:Stream"}, "no rows that can be numbered"),
        ({"dataset": "nets:Numbers", "options": {"m": 1}}, "could not be made"),
        ({"dataset": "nets:Nope"}, "has no 'Nope'"),
        ({}, "names no dataset"),
    ],
)
def test_what_cannot_be_read_by_row_is_refused(settings, told):
    with pytest.raises((LoadError, ConfigError), match=told):
        TorchDatasetSource(DatasetOptions(**settings).at(HERE))


def test_a_live_stream_is_refused():
    with pytest.raises(LoadError, match="no rows that can be numbered"):
        TorchDatasetSource.from_live(DatasetOptions(), Stream())


def test_a_loader_that_is_not_there_is_refused():
    with pytest.raises(LoadError, match="no predict loader 2"):
        LightningLoaderSource(LightningLoaderOptions(dataset="modules:Digits", loader=2).at(HERE))
