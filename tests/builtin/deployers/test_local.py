import threading

import numpy as np
import pytest
from foretell.abc import DeployContext
from foretell.builtin.deployers.local import LocalDeployer, LocalOptions
from foretell.builtin.predictors.callable import CallableOptions, CallablePredictor
from foretell.errors import LoadError
from foretell.types import Batch
from threadpoolctl import threadpool_info


def batch(inputs):
    n = len(inputs)
    return Batch(inputs, np.arange(n), np.ones(n, bool), np.zeros((n, 2), "uint32"))


def deploy(model, threads=1, **settings):
    predictor = CallablePredictor(CallableOptions(), model=model)
    deployer = LocalDeployer.from_options(LocalOptions(**settings))
    return deployer.deploy(predictor, DeployContext(batch_size=4, threads=threads))


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_slots_and_threads_share_the_cores():
    assert LocalDeployer(LocalOptions()).slots(8) == 1
    assert LocalDeployer(LocalOptions()).threads(8, 1) == 8
    assert LocalDeployer(LocalOptions(slots=4)).slots(8) == 4
    assert LocalDeployer(LocalOptions(slots=4)).threads(8, 4) == 2
    assert LocalDeployer(LocalOptions(slots=4)).threads(2, 4) == 1
    assert LocalDeployer(LocalOptions(threads=3)).threads(8, 1) == 3


def test_launch_computes_in_the_calling_thread():
    seen = []

    def model(x):
        seen.append(threading.current_thread())
        return x

    deployment = deploy(model)
    deployment.collect(deployment.launch(batch(np.zeros(4))))
    assert seen == [threading.current_thread()]
    assert deployment.stats() == {"batches": 1, "threads": 1}


def test_threads_of_the_libraries_are_limited_while_it_lasts():
    # NumPy's BLAS has been used, so its pool is there.
    np.ones((64, 64)) @ np.ones((64, 64))
    before = blas_threads()
    seen = []

    def model(x):
        seen.append(blas_threads())
        return x

    deployment = deploy(model, threads=1)
    deployment.launch(batch(np.zeros(4)))
    deployment.close()
    assert seen == [[1] * len(before)]
    assert blas_threads() == before


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 TB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_out_of_memory_is_recognised(error, expected):
    assert deploy(lambda x: x).is_out_of_memory(error) is expected


def test_numpy_running_out_of_memory_is_recognised():
    deployment = deploy(lambda x: np.empty((2**48,), dtype="float64"))
    with pytest.raises(MemoryError) as caught:
        deployment.launch(batch(np.zeros(4)))
    assert deployment.is_out_of_memory(caught.value)


def test_what_load_raises_is_a_load_error():
    class Broken(CallablePredictor):
        def load(self):
            raise OSError("no such device")

    predictor = Broken(CallableOptions(), model=len)
    with pytest.raises(LoadError, match="the model could not be loaded"):
        LocalDeployer(LocalOptions()).deploy(predictor, DeployContext(batch_size=4))
