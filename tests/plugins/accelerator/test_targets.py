"""Every target keeps the contract."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
import numpy as np
import torch
from decoders import Small, jax_decoder, small_inputs
from foretell_accelerator import compile, load
from foretell_accelerator.decoding.roles import example
from foretell_accelerator.errors import CompileError
from foretell_accelerator.targets.aot_inductor import AotInductorTarget
from foretell_accelerator.targets.jax_export import JaxExportTarget
from foretell_accelerator.targets.onnxruntime import OnnxRuntimeTarget
from foretell_accelerator.targets.openvino import OpenVinoTarget
from foretell_accelerator.targets.sambaflow import SambaFlowTarget
from foretell_accelerator.testing import AcceleratorTargetContract

PARTS = Path(__file__).parent / "parts"


class TorchContract(AcceleratorTargetContract):
    source: ClassVar[tuple[str, ...]] = ("decoders", "transformers")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        return Small().eval()

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls):
        return small_inputs()


class TestAotInductor(TorchContract):
    target_class = AotInductorTarget


class TestOpenVino(TorchContract):
    target_class = OpenVinoTarget
    precise: ClassVar[dict[str, float]] = {"bf16": 0.1}


class TestOnnxRuntime(TorchContract):
    target_class = OnnxRuntimeTarget


@pytest.mark.usefixtures("eight_devices")
class TestJaxExport(AcceleratorTargetContract):
    target_class = JaxExportTarget
    source: ClassVar[tuple[str, ...]] = ("decoders", "torch", "transformers")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        return jax_decoder

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls):
        return example(8, 12, 257)

    @pytest.fixture(scope="class")
    @classmethod
    def wrong_model(cls):
        return Small()


class TestSambaFlow(TorchContract):
    target_class = SambaFlowTarget

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def there(cls, standin):
        return standin

    def test_the_vendors_calls_are_made_in_their_order(self, compiled, inputs, there):
        del there.CALLS[:]
        again = load(compiled.path, model=Small().eval())
        again.run(**inputs)
        assert there.CALLS == [
            ("from_torch_model_", "Small"),
            ("trace_graph", "model.pef"),
            ("run", {"p": 0.0}, ["fwd"]),
        ]

    def test_without_the_model_it_says_so(self, compiled):
        with pytest.raises(Exception, match="needs the model itself"):
            load(compiled.path)


@pytest.mark.usefixtures("eight_devices")
def test_a_torch_model_for_jax_names_the_targets_that_fit(tmp_path):
    with pytest.raises(CompileError) as caught:
        compile(Small().eval(), small_inputs(), tmp_path, target="jax-export")
    text = str(caught.value)
    assert "compiles no torch models" in text
    for fitting in ("aot-inductor", "openvino", "onnxruntime", "sambaflow"):
        assert fitting in text


def test_without_a_compiler_aot_inductor_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler is not on PATH" in AotInductorTarget().usable()
    with pytest.raises(CompileError, match="aot-inductor cannot be used here"):
        compile(Small().eval(), small_inputs(), tmp_path, target="aot-inductor")


def test_without_the_vendors_package_sambaflow_says_so():
    assert "SambaNova" in SambaFlowTarget().usable()


def test_a_model_that_fails_or_returns_no_array_is_refused(tmp_path):
    class Fails(torch.nn.Module):
        def forward(self, x):
            raise ValueError("never")

    class Says(torch.nn.Module):
        def forward(self, x):
            return {"text": "hello"}

    x = {"x": np.zeros((2, 3), "float32")}
    for model, said in ((Fails(), "fails on the example inputs"), (Says(), "no array")):
        with pytest.raises(CompileError, match=said):
            compile(model, x, tmp_path, target="openvino")


def test_openvino_tells_its_makers_nothing(tmp_path):
    if OpenVinoTarget().usable():
        pytest.skip("openvino is not installed")
    code = (
        "import os, sys; os.environ.pop('CI', None)\n"
        "from decoders import Small, small_inputs\n"
        "from foretell_accelerator import compile\n"
        "compile(Small().eval(), small_inputs(), sys.argv[1], target='openvino')\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PARTS), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    with pytest.raises(CompileError, match="not empty"):
        compile(Small().eval(), small_inputs(), tmp_path, target="onnxruntime")
    assert (tmp_path / "model" / "mine.txt").read_text() == "mine"


def test_several_shapes_use_the_smallest_that_fits(tmp_path):
    made = compile(
        Small().eval(), [small_inputs(2), small_inputs(8)], tmp_path, target="onnxruntime"
    )
    assert [program.rows for program in made.programs] == [2, 8]
    used: list[Any] = []
    call = made.call
    made.call = lambda program, arrays: used.append(program.rows) or call(program, arrays)  # type: ignore[method-assign, func-returns-value]
    for rows in (1, 2, 3, 8, 9):
        made.rows(**small_inputs(rows))
    assert used == [2, 2, 8, 8, 8, 2]
