import numpy as np
import pytest
from foretell.builtin.deployers.local import LocalDeployer, LocalOptions
from foretell.builtin.predictors.callable import CallableOptions, CallablePredictor
from foretell.testing import DeployerContract

WEIGHTS = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")


def dense(x):
    return {"logits": x @ WEIGHTS, "text": [f"{value:.3f}" for value in x[:, 0]]}


class LocalContract(DeployerContract):
    deployer_class = LocalDeployer

    @pytest.fixture
    def examples(self):
        return np.random.default_rng(0).normal(size=(32, 6)).astype("float32")

    @pytest.fixture
    def predictor(self):
        return CallablePredictor(CallableOptions(), model=dense)


class TestOneSlot(LocalContract):
    @pytest.fixture
    def options(self):
        return LocalOptions()


class TestFourSlots(LocalContract):
    @pytest.fixture
    def options(self):
        return LocalOptions(slots=4, threads=1)


class TestTensors(LocalContract):
    @pytest.fixture
    def options(self):
        return LocalOptions()

    @pytest.fixture
    def predictor(self):
        torch = pytest.importorskip("torch")
        weights = torch.from_numpy(WEIGHTS.copy()).requires_grad_()

        def model(x):
            return {"logits": torch.from_numpy(x) @ weights}

        return CallablePredictor(CallableOptions(), model=model)

    @pytest.fixture
    def out_of_memory(self):
        torch = pytest.importorskip("torch")
        return [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")]
