"""The parts of this plugin under Foretell's own contracts."""

import json

import numpy as np
import pytest
from foretell.testing import DeployerContract, PredictorContract, WriterContract
from foretell_weather.deployer import ClimateDeployer, ClimateDeployerOptions
from foretell_weather.predictor import ClimateOptions, ClimatePredictor
from foretell_weather.writer import NpyFolderOptions, NpyFolderWriter


def climate(folder):
    (folder / "magnus.json").write_text(json.dumps({"a": 17.62, "b": 243.12}))
    return ClimateOptions(checkpoint="magnus.json", altitude=120.0).at(folder)


def observations(n):
    rng = np.random.default_rng(0)
    return {
        "station": np.array([f"S{i}" for i in range(n)], dtype=object),
        "temperature": rng.normal(12, 6, n).astype(np.float32),
        "pressure": rng.normal(1005, 8, n).astype(np.float32),
        "humidity": rng.uniform(20, 100, n).astype(np.float32),
    }


class TestPredictor(PredictorContract):
    predictor_class = ClimatePredictor

    @pytest.fixture
    def options(self, tmp_path):
        return climate(tmp_path)

    @pytest.fixture
    def changed_options(self, options):
        return [options.model_copy(update={"altitude": 3.0})]

    @pytest.fixture
    def examples(self):
        return observations(16)

    @pytest.fixture
    def deployer(self):
        return ClimateDeployer(ClimateDeployerOptions())


class TestDeployer(DeployerContract):
    deployer_class = ClimateDeployer

    @pytest.fixture
    def options(self):
        return ClimateDeployerOptions(slots=3)

    @pytest.fixture
    def predictor(self, tmp_path):
        return ClimatePredictor(climate(tmp_path))

    @pytest.fixture
    def examples(self):
        return observations(32)


class TestWriter(WriterContract):
    @pytest.fixture
    def make_writer(self):
        return lambda objects: NpyFolderWriter(NpyFolderOptions(), objects)
