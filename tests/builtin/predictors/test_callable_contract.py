from pathlib import Path

import numpy as np
import pytest
from foretell.builtin.predictors.callable import CallableOptions, CallablePredictor
from foretell.testing import PredictorContract

HERE = Path(__file__).parent


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(size=(24, 6)).astype("float32")


class TestClassWithState(PredictorContract):
    predictor_class = CallablePredictor

    @pytest.fixture
    def examples(self, numbers):
        return numbers

    @pytest.fixture
    def options(self, tmp_path):
        weights = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
        np.savez(tmp_path / "weights.npz", w=weights)
        path = str(tmp_path / "weights.npz")
        return CallableOptions(model="models:Dense", checkpoint=path).at(HERE)

    @pytest.fixture
    def changed_options(self, options):
        changes = [{"options": {"bias": 1.0}}, {"model": "models:lengths"}, {"version": "2"}]
        return [options.model_copy(update=change) for change in changes]


class TestRecords(PredictorContract):
    predictor_class = CallablePredictor
    batch_size = 5

    @pytest.fixture
    def examples(self):
        return [{"id": i, "text": "ab" * i} for i in range(12)]

    @pytest.fixture
    def options(self):
        return CallableOptions(
            model="models:lengths", collate="models:texts_of", postprocess="models:named"
        ).at(HERE)


class TestRowsAndKeys(PredictorContract):
    predictor_class = CallablePredictor

    @pytest.fixture
    def examples(self, numbers):
        return numbers

    @pytest.fixture
    def options(self):
        return CallableOptions(model="models.py:noisy", options={"scale": 2.0}).at(HERE)


class TestListOfRecords(PredictorContract):
    predictor_class = CallablePredictor
    batch_size = 1

    @pytest.fixture
    def examples(self, numbers):
        return numbers

    @pytest.fixture
    def options(self):
        return CallableOptions(model="models:as_records").at(HERE)
