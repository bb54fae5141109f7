"""Predictors and deployers with one fault each, under the contracts that must find it.

Run by test_kits_find_faults.py, never collected by itself: every class here fails one test.
"""

import threading
import time
import uuid

import numpy as np
import pytest
from foretell.abc import (
    Deployer,
    DeployerOptions,
    Deployment,
    Predictor,
    PredictorOptions,
)
from foretell.digest import hash_file
from foretell.errors import LoadError
from foretell.testing import DeployerContract, PredictorContract
from foretell.types import OutputSpec


class Good(Predictor):
    """Doubles every row."""

    Options = PredictorOptions
    model_kind = "planted"
    default_deployer = "planted"

    def __init__(self, options):
        self.options = options

    def load(self):
        return np.float64(2)

    def predict(self, model, batch):
        return batch.inputs * model

    def fingerprint(self):
        weights = hash_file(self.options.resolve(self.options.checkpoint))
        return {"version": str(self.options.version), "checkpoint": weights}


class Calls(Deployment):
    max_in_flight = 2

    def __init__(self, predictor):
        self.predictor, self.model = predictor, predictor.load()

    def launch(self, batch):
        return self.predictor.predict(self.model, batch)

    def collect(self, handle):
        return handle


class GoodDeployer(Deployer):
    Options = DeployerOptions
    accepts = frozenset({"planted"})
    deployment = Calls

    def __init__(self, options):
        self.options = options

    def slots(self, cpus):
        return 4

    def deploy(self, predictor, context):
        try:
            return self.deployment(predictor)
        except Exception as error:
            raise LoadError("no model") from error


def numbers(n):
    return np.random.default_rng(0).normal(size=(n, 3))


class OfPredictors(PredictorContract):
    @pytest.fixture
    def options(self, tmp_path):
        (tmp_path / "weights").write_bytes(b"weights")
        return PredictorOptions(kind="planted", checkpoint="weights").at(tmp_path)

    @pytest.fixture
    def examples(self):
        return numbers(16)

    @pytest.fixture
    def deployer(self):
        return GoodDeployer(DeployerOptions(kind="planted"))


class TestNoFault(OfPredictors):
    predictor_class = Good


class Heavy(Good):
    def __init__(self, options):
        import xml.dom.minidom  # noqa: F401

        super().__init__(options)


class TestHeavy(OfPredictors):
    predictor_class = Heavy
    heavy = ("xml.dom.minidom",)


class Constant(Good):
    def fingerprint(self):
        return {"model": "mine"}


class TestConstant(OfPredictors):
    predictor_class = Constant


class Restless(Good):
    def fingerprint(self):
        return {"model": uuid.uuid4().hex}


class TestRestless(OfPredictors):
    predictor_class = Restless


class PerProcess(Good):
    made = str(id(object()) + time.time_ns())

    def fingerprint(self):
        return {**super().fingerprint(), "model": self.made}


class TestPerProcess(OfPredictors):
    predictor_class = PerProcess


class MeansOverTheBatch(Good):
    def predict(self, model, batch):
        return batch.inputs - batch.inputs.mean(axis=0)


class TestMeansOverTheBatch(OfPredictors):
    predictor_class = MeansOverTheBatch


class Sorted(Good):
    def predict(self, model, batch):
        return np.sort(batch.inputs, axis=0)


class TestSorted(OfPredictors):
    predictor_class = Sorted


class Places(Good):
    def predict(self, model, batch):
        return batch.inputs + np.arange(batch.size)[:, None]


class TestPlaces(OfPredictors):
    predictor_class = Places


class Drops(Good):
    def predict(self, model, batch):
        return batch.inputs[:-1]


class TestDrops(OfPredictors):
    predictor_class = Drops


class KeepsFiller(Good):
    def postprocess(self, predictions):
        return {"output": np.resize(predictions, (8, 3))}


class TestKeepsFiller(OfPredictors):
    predictor_class = KeepsFiller


class Promises(Good):
    def output_specs(self):
        return [OutputSpec("output", (3,), "float32")]


class TestPromises(OfPredictors):
    predictor_class = Promises


class Reserved(Good):
    def postprocess(self, predictions):
        return {"valid": predictions}


class TestReserved(OfPredictors):
    predictor_class = Reserved


# --- deployers -------------------------------------------------------------------------------


class OfDeployers(DeployerContract):
    @pytest.fixture
    def options(self):
        return DeployerOptions(kind="planted")

    @pytest.fixture
    def predictor(self, tmp_path):
        return Good(PredictorOptions(kind="planted"))

    @pytest.fixture
    def examples(self):
        return numbers(32)


class TestDeployerWithoutFault(OfDeployers):
    deployer_class = GoodDeployer


class Swallowing(Calls):
    def launch(self, batch):
        try:
            return super().launch(batch)
        except Exception:
            return np.zeros((8, 3))


class SwallowingDeployer(GoodDeployer):
    deployment = Swallowing


class TestSwallowing(OfDeployers):
    deployer_class = SwallowingDeployer


class OneBuffer(Calls):
    """Every launch overwrites the result of the one before."""

    buffer = None

    def launch(self, batch):
        made = super().launch(batch)
        if self.buffer is None:
            self.buffer = made
        self.buffer[:] = made
        return self.buffer

    def collect(self, handle):
        return handle.copy()


class OneBufferDeployer(GoodDeployer):
    deployment = OneBuffer

    def slots(self, cpus):
        return 1


class TestOneBuffer(OfDeployers):
    deployer_class = OneBufferDeployer


class Racing(Calls):
    """Threads see each other's batch."""

    max_in_flight = 1

    def __init__(self, predictor):
        super().__init__(predictor)
        self.both = threading.Barrier(2)

    def launch(self, batch):
        self.batch = batch
        if threading.current_thread() is not threading.main_thread():
            self.both.wait(timeout=1)
        return super().launch(self.batch)


class RacingDeployer(GoodDeployer):
    deployment = Racing

    def slots(self, cpus):
        return 2


class TestRacing(OfDeployers):
    deployer_class = RacingDeployer


class ClosesOnce(Calls):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


class ClosesOnceDeployer(GoodDeployer):
    deployment = ClosesOnce


class TestClosesOnce(OfDeployers):
    deployer_class = ClosesOnceDeployer


class BlamesMemory(Calls):
    def is_out_of_memory(self, error):
        return True


class BlamesMemoryDeployer(GoodDeployer):
    deployment = BlamesMemory


class TestBlamesMemory(OfDeployers):
    deployer_class = BlamesMemoryDeployer


class RawDeployer(GoodDeployer):
    def deploy(self, predictor, context):
        return self.deployment(predictor)


class TestRaw(OfDeployers):
    deployer_class = RawDeployer


class ChoosyDeployer(GoodDeployer):
    accepts = frozenset({"another"})


class TestChoosy(OfDeployers):
    deployer_class = ChoosyDeployer


class OnDevice:
    def __init__(self, values):
        self.values = values
        self.shape = values.shape

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return self.values


class LeavesThere(Calls):
    def collect(self, handle):
        return OnDevice(handle)


class LeavesThereDeployer(GoodDeployer):
    deployment = LeavesThere


class TestLeavesThere(OfDeployers):
    deployer_class = LeavesThereDeployer
