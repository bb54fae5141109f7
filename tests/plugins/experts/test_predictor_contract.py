"""The expert predictor and deployer keep the contracts, under either kind of batching."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from foretell.testing import DeployerContract, PredictorContract
from foretell_experts.deployer import ExpertsDeployer
from foretell_experts.predictor import ExpertsPredictor
from foretell_experts.settings import ExpertsDeployerOptions, ExpertsOptions
from safetensors.torch import save_file

MODEL = """
import numpy as np
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, 3))

    def forward(self, x):
        y = self.layers(x)
        return {"y": y, "sum": y.sum(1)}


def gate():
    return nn.Linear(5, 3)


def route(x):
    first = (x[:, 0] > 0).astype(int)
    return np.stack([first, np.full_like(first, 2)], 1), np.tile([0.75, 0.25], (len(x), 1))
"""


def write_job(folder: Path) -> None:
    """Three experts of two widths, and a gate."""
    (folder / "model.py").write_text(MODEL)
    for seed, name in enumerate(("one", "two", "three")):
        torch.manual_seed(seed)
        width = 8 if name != "three" else 4
        layers = torch.nn.Sequential(
            torch.nn.Linear(5, width), torch.nn.Tanh(), torch.nn.Linear(width, 3)
        )
        weights = {f"layers.{key}": value for key, value in layers.state_dict().items()}
        save_file(weights, folder / f"{name}.safetensors")
    torch.manual_seed(9)
    save_file(torch.nn.Linear(5, 3).state_dict(), folder / "gate.safetensors")


def settings(folder: Path, **more: Any) -> ExpertsOptions:
    experts: list[Any] = [
        {"name": name, "model": "model.py:Net", "checkpoint": f"{name}.safetensors"}
        for name in ("one", "two", "three")
    ]
    experts[2]["options"] = {"width": 4}
    options: ExpertsOptions = ExpertsOptions(experts=tuple(experts), **more).at(folder)
    return options


def inputs(count: int) -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(0).standard_normal((count, 5), dtype=np.float32)
    return drawn


GATE = {"gate": "model.py:gate", "checkpoint": "gate.safetensors", "top_k": 2}


class Common(PredictorContract):
    predictor_class = ExpertsPredictor
    heavy = ("safetensors",)
    batching: Literal["dynamic", "fixed"] = "fixed"

    @pytest.fixture
    def options(self, tmp_path: Path) -> ExpertsOptions:
        write_job(tmp_path)
        return settings(tmp_path, router=GATE)

    @pytest.fixture
    def examples(self) -> np.ndarray:
        return inputs(40)

    @pytest.fixture
    def deployer(self) -> ExpertsDeployer:
        return ExpertsDeployer(ExpertsDeployerOptions(batching=self.batching))

    @pytest.fixture
    def changed_options(self, options: ExpertsOptions, tmp_path: Path) -> list[Any]:
        folder = tmp_path / "changed"
        folder.mkdir()
        write_job(folder)
        weights = folder / "two.safetensors"
        data = weights.read_bytes()
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        code = tmp_path / "code"
        code.mkdir()
        write_job(code)
        (code / "model.py").write_text(MODEL + "\n# changed\n")
        return [
            options.model_copy(update={"version": "another version"}),
            settings(folder, router=GATE),
            settings(code, router=GATE),
            settings(tmp_path, router={**GATE, "top_k": 1}),
            settings(tmp_path),
            settings(tmp_path, router={"function": "model.py:route"}),
            settings(tmp_path, router=GATE, k_min=1),
        ]


class TestFixedPredictor(Common):
    """No tolerance at all at the same place of a batch."""


class TestDynamicPredictor(Common):
    batching = "dynamic"
    rtol = 1e-5
    atol = 1e-6


class TestRoutedByAFunction(Common):
    @pytest.fixture
    def options(self, tmp_path: Path) -> ExpertsOptions:
        write_job(tmp_path)
        return settings(tmp_path, router={"function": "model.py:route"})

    @pytest.fixture
    def changed_options(self, options: ExpertsOptions) -> list[Any]:
        return [options.model_copy(update={"version": "another version"})]


class CommonDeployer(DeployerContract):
    deployer_class = ExpertsDeployer
    heavy = ("safetensors",)
    batching: Literal["dynamic", "fixed"] = "fixed"

    @pytest.fixture
    def options(self) -> ExpertsDeployerOptions:
        return ExpertsDeployerOptions(batching=self.batching)

    @pytest.fixture
    def predictor(self, tmp_path: Path) -> ExpertsPredictor:
        write_job(tmp_path)
        return ExpertsPredictor(settings(tmp_path, router=GATE))

    @pytest.fixture
    def examples(self) -> np.ndarray:
        return inputs(40)

    @pytest.fixture
    def out_of_memory(self) -> list[BaseException]:
        return [
            torch.OutOfMemoryError("CUDA out of memory"),
            RuntimeError("service 'one': OutOfMemoryError: CUDA out of memory"),
        ]


class TestFixedDeployer(CommonDeployer):
    pass


class TestDynamicDeployer(CommonDeployer):
    batching = "dynamic"
    rtol = 1e-5
    atol = 1e-6
