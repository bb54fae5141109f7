"""The predictor and the deployer under the contract kits."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from foretell.testing import DeployerContract, PredictorContract
from foretell_jax.options import JaxDeployerOptions, JaxOptions
from foretell_jax.predictor import JaxPredictor
from foretell_jax.runner import JaxDeployer

NETS = Path(__file__).parent / "nets.py"
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


def options(name="dense", **more):
    return JaxOptions(model=f"{NETS}:{name}", params=f"{NETS}:init", **more)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)


class JaxPredictorContract(PredictorContract):
    predictor_class = JaxPredictor
    moved_rtol = 1e-4
    moved_atol = 1e-5
    heavy = ("optax", "orbax")

    @pytest.fixture
    def options(self):
        return options()

    @pytest.fixture
    def changed_options(self, options):
        changes = ({"options": {"width": 8}}, {"model": f"{NETS}:noisy"}, {"version": "2"})
        return [options.model_copy(update=change) for change in changes]

    @pytest.fixture
    def examples(self, rows):
        return rows

    @pytest.fixture
    def deployer(self):
        return JaxDeployer(JaxDeployerOptions(n_model_shards=2))


class TestPredictor(JaxPredictorContract):
    pass


class TestPredictorWithSafetensors(JaxPredictorContract):
    @pytest.fixture
    def options(self, tmp_path):
        safetensors = pytest.importorskip("safetensors.numpy")
        rng = np.random.default_rng(1)
        tree = {
            "up.kernel": rng.normal(size=(6, 16)).astype(np.float32),
            "down.kernel": rng.normal(size=(16, 4)).astype(np.float32),
        }
        safetensors.save_file(tree, tmp_path / "net.safetensors")
        return JaxOptions(model=f"{NETS}:dense", checkpoint="net.safetensors").at(tmp_path)

    @pytest.fixture
    def changed_options(self, options):
        return [options.model_copy(update={"version": "2"})]


class TestRandomPredictor(JaxPredictorContract):
    @pytest.fixture
    def options(self):
        return options("noisy")

    @pytest.fixture
    def changed_options(self, options):
        return [options.model_copy(update={"model": f"{NETS}:dense"})]

    def test_a_row_keeps_its_luck_wherever_it_stands(self, predictor, deployment, examples):
        """Rows of the kit's batches have their position as global index."""
        from foretell.testing.batches import make_batch, run_batch

        seen: dict[int, float] = {}
        for start in (0, 3, 8):
            positions = range(start, start + self.batch_size)
            got = run_batch(predictor, deployment, make_batch(predictor, examples, positions))
            for row, value in zip(positions, got["noise"].tolist(), strict=True):
                assert seen.setdefault(row, value) == value
        assert len(set(seen.values())) == len(seen)


class JaxDeployerContract(DeployerContract):
    deployer_class = JaxDeployer

    @pytest.fixture
    def predictor(self):
        return JaxPredictor(options())

    @pytest.fixture
    def examples(self, rows):
        return rows

    @pytest.fixture
    def out_of_memory(self):
        return [RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 12345 bytes")]


class TestAllDevicesOnRows(JaxDeployerContract):
    @pytest.fixture
    def options(self):
        return JaxDeployerOptions()


class TestMesh(JaxDeployerContract):
    @pytest.fixture
    def options(self):
        return JaxDeployerOptions(mesh={"dp": 2, "mp": 4}, slots=3)


class TestBigBuckets(JaxDeployerContract):
    """Every batch is padded, so the padding must never be seen."""

    @pytest.fixture
    def options(self):
        return JaxDeployerOptions(mesh={"dp": 4, "mp": 1}, buckets=(4, 32))


class TestHalfPrecision(JaxDeployerContract):
    @pytest.fixture
    def options(self):
        return JaxDeployerOptions(precision="bf16")


@pytest.mark.skipif(importlib.util.find_spec("flax") is None, reason="needs flax")
class TestFlaxModule(JaxDeployerContract):
    @pytest.fixture
    def options(self):
        return JaxDeployerOptions(n_model_shards=4)

    @pytest.fixture
    def predictor(self, rows):
        import jax
        from flax import linen

        module = linen.Dense(8)
        params = module.init(jax.random.PRNGKey(0), rows[:1])
        return JaxPredictor(JaxOptions(), model=(module, params))


@pytest.mark.skipif(importlib.util.find_spec("flax") is None, reason="needs flax")
class TestNnxModule(JaxDeployerContract):
    """A module that carries its parameters itself, with a layer that draws only in training."""

    @pytest.fixture
    def options(self):
        return JaxDeployerOptions(n_model_shards=2)

    @pytest.fixture
    def predictor(self):
        from flax import nnx

        class Net(nnx.Module):
            def __init__(self, rngs):
                self.dense = nnx.Linear(6, 8, rngs=rngs)
                self.norm = nnx.BatchNorm(8, use_running_average=True, rngs=rngs)
                self.dropout = nnx.Dropout(0.5, deterministic=True, rngs=rngs)

            def __call__(self, x):
                return {"y": self.dropout(self.norm(self.dense(x)))}

        return JaxPredictor(JaxOptions(version="1"), model=Net(nnx.Rngs(0)))
