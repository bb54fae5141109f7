from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from foretell.abc import DeployContext
from foretell.errors import LoadError
from foretell.testing import DeployerContract
from foretell.testing.batches import make_batch, run_batch

pytest.importorskip("torch")
import torch
from foretell_torch.deployer import TorchDeployer, choose_device
from foretell_torch.predictor import TorchPredictor
from foretell_torch.settings import TorchDeployerOptions, TorchOptions

HERE = Path(__file__).parent / "parts"


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(size=(32, 6)).astype("float32")


class TorchContract(DeployerContract):
    deployer_class = TorchDeployer
    heavy = ("safetensors",)
    settings: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def options(self):
        return TorchDeployerOptions(device="cpu", **self.settings)

    @pytest.fixture
    def examples(self, numbers):
        return numbers

    @pytest.fixture
    def predictor(self):
        return TorchPredictor(TorchOptions(model="nets:built").at(HERE))

    @pytest.fixture
    def out_of_memory(self):
        return [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        ]


class TestFullPrecision(TorchContract):
    pass


class TestOneSlotOfTwoThreads(TorchContract):
    settings: ClassVar[dict[str, Any]] = {"slots": 1, "threads": 2}


class TestBfloat16(TorchContract):
    settings: ClassVar[dict[str, Any]] = {"precision": "bf16"}


class TestTrueFloat16(TorchContract):
    settings: ClassVar[dict[str, Any]] = {"precision": "fp16-true", "slots": 2}


class TestCompiled(TorchContract):
    """Through torch.compile, with the backend that needs no C++ compiler."""

    settings: ClassVar[dict[str, Any]] = {
        "compile": True,
        "compile_backend": "eager",
        "slots": 2,
    }


def outputs(predictor, rows, **settings):
    deployment = TorchDeployer(TorchDeployerOptions(device="cpu", **settings)).deploy(
        predictor, DeployContext(8)
    )
    try:
        return run_batch(predictor, deployment, make_batch(predictor, rows, range(8)))["output"]
    finally:
        deployment.close()


@pytest.mark.parametrize(
    ("precision", "dtype", "rtol"),
    [
        ("fp32", "float32", 1e-6),
        ("bf16", "float32", 3e-2),
        ("fp16", "float16", 3e-3),
        ("bf16-true", "float32", 3e-2),
        ("fp16-true", "float16", 3e-3),
    ],
)
def test_precision_changes_digits_and_dtype_alone(numbers, precision, dtype, rtol):
    predictor = TorchPredictor(TorchOptions(model="nets:built").at(HERE))
    with torch.inference_mode():
        expected = predictor.load()(torch.from_numpy(numbers[:8])).numpy()
    got = outputs(predictor, numbers, precision=precision)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol)
    if precision != "fp32":
        assert not np.array_equal(got.astype("float32"), expected)


def test_channels_last_gives_the_same_picture():
    pictures = np.random.default_rng(0).normal(size=(8, 3, 8, 8)).astype("float32")
    torch.manual_seed(0)
    predictor = TorchPredictor(TorchOptions(), model=_picture())
    plain, last = (outputs(predictor, pictures, channels_last=c) for c in (False, True))
    np.testing.assert_allclose(plain, last, rtol=1e-5, atol=1e-6)


def _picture():
    class Picture(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)
            self.seen = []

        def forward(self, x):
            return self.conv(x).mean((2, 3))

    return Picture()


def test_nothing_wants_a_gradient(numbers):
    seen = []

    class Watches(torch.nn.Module):
        def forward(self, x):
            seen.append((torch.is_inference_mode_enabled(), self.training))
            return x

    outputs(TorchPredictor(TorchOptions(), model=Watches, postprocess=None), numbers)
    assert seen == [(True, False)]


def test_the_threads_of_this_process_are_given_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        predictor = TorchPredictor(TorchOptions(model="nets:built").at(HERE))
        outputs(predictor, np.zeros((8, 6), "float32"))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_slots_do_not_depend_on_anything_that_changes_results():
    deployer = TorchDeployer(TorchDeployerOptions(device="cpu"))
    assert [deployer.slots(cpus) for cpus in (1, 2, 64)] == [1, 2, 16]
    assert {deployer.threads(cpus, deployer.slots(cpus)) for cpus in (1, 2, 64)} == {1}
    assert TorchDeployer(TorchDeployerOptions(device="cuda")).slots(64) == 1


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(choose_device(torch, "auto", 3)) == "cpu"
    with pytest.raises(LoadError, match="no device cuda:1"):
        choose_device(torch, "cuda:1", 0)


def test_workers_take_the_devices_in_turn(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = [str(choose_device(torch, setting, 3)) for setting in ("auto", "cuda", "cuda:0", "cpu")]
    assert found == ["cuda:1", "cuda:1", "cuda:0", "cpu"]
    with pytest.raises(LoadError, match="no device cuda:2"):
        choose_device(torch, "cuda:2", 0)
