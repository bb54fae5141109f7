"""Compiling while deploying, prompts, rewrites, and what is refused."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
import torch
from decoders import Small, gpt2, needs, small_inputs
from foretell.abc import DeployContext
from foretell.errors import ConfigError, LoadError, RowFailure
from foretell.testing.batches import make_batch, run_batch
from foretell_accelerator import compile
from foretell_accelerator.compiling import COMPILED
from foretell_accelerator.decoding.predictor import GeneratePredictor
from foretell_accelerator.deployer import AcceleratorDeployer
from foretell_accelerator.errors import ArtifactError, CompileError
from foretell_accelerator.predictor import ArtifactPredictor
from foretell_accelerator.rewriting import RewriteContext, rewritten
from foretell_accelerator.settings import (
    AcceleratorOptions,
    ArtifactOptions,
    GenerateOptions,
)

PARTS = Path(__file__).parent / "parts"


# --- compiling while deploying -------------------------------------------------------------------


def deployed(predictor, **settings):
    return AcceleratorDeployer(AcceleratorOptions(**settings)).deploy(predictor, DeployContext(8))


def test_what_was_compiled_once_is_found_again(own_cache):
    needs("onnxruntime")
    before = COMPILED.programs
    outputs, remarks = [], []
    for _ in range(2):
        predictor = ArtifactPredictor(ArtifactOptions(model="decoders:Small").at(PARTS))
        deployment = deployed(predictor, target="onnxruntime")
        outputs.append(
            run_batch(predictor, deployment, make_batch(predictor, small_inputs(), range(8)))
        )
        notes = dict(deployment.notes())
        remarks += deployment.remarks()
        deployment.close()
    assert COMPILED.programs == before + 1
    assert "compiled for onnxruntime in" in remarks[0]
    assert str(own_cache) in remarks[0]
    assert "onnxruntime, fp32, cpu" in notes["compiled"]
    assert str(own_cache) in notes["artifact"]
    np.testing.assert_array_equal(outputs[0]["logits"], outputs[1]["logits"])
    # Another model, another place; a damaged place is compiled again.
    other = ArtifactPredictor(
        ArtifactOptions(model="decoders:Small", options={"width": 8}).at(PARTS)
    )
    run_batch(
        other, deployed(other, target="onnxruntime"), make_batch(other, small_inputs(), range(8))
    )
    assert COMPILED.programs == before + 2
    for file in own_cache.rglob("model.onnx"):
        file.write_bytes(b"x")
    predictor = ArtifactPredictor(ArtifactOptions(model="decoders:Small").at(PARTS))
    again = deployed(predictor, target="onnxruntime")
    run_batch(predictor, again, make_batch(predictor, small_inputs(), range(8)))
    assert COMPILED.programs == before + 3
    assert again.stats()["compilations"] == COMPILED.programs


def test_a_torch_predictors_model_needs_no_other_predictor(own_cache):
    needs("openvino")
    torch_plugin = pytest.importorskip("foretell_torch.predictor")
    from foretell_torch.settings import TorchOptions

    predictor = torch_plugin.TorchPredictor(TorchOptions(model="decoders:Small").at(PARTS))
    deployment = deployed(predictor, target="openvino")
    found = run_batch(predictor, deployment, make_batch(predictor, small_inputs(), range(8)))
    given = {name: torch.from_numpy(array) for name, array in small_inputs().items()}
    with torch.no_grad():
        expected = Small().eval()(**given)["logits"]
    np.testing.assert_allclose(found["logits"], expected.numpy(), rtol=1e-4, atol=1e-5)


# --- refusals ------------------------------------------------------------------------------------


def test_a_wrong_model_target_or_precision_is_refused_by_name(small):
    wrong = ArtifactPredictor(
        ArtifactOptions(artifact=str(small), model="decoders:Small").at(PARTS)
    )
    with pytest.raises(ArtifactError, match="another model"):
        AcceleratorDeployer(AcceleratorOptions()).services(wrong)
    right = ArtifactPredictor(ArtifactOptions(artifact=str(small)))
    given: Any
    for field, value in (("target", "openvino"), ("precision", "bf16"), ("device", "cuda")):
        given = {field: value}
        with pytest.raises(ConfigError) as caught:
            AcceleratorDeployer(AcceleratorOptions(**given)).services(right)
        assert f"deployer.{field}" in str(caught.value)
    AcceleratorDeployer(AcceleratorOptions(target="onnxruntime")).services(right)


def test_a_job_without_artifact_and_target_names_the_usable_ones():
    predictor = ArtifactPredictor(ArtifactOptions(model="decoders:Small").at(PARTS))
    with pytest.raises(ConfigError) as caught:
        AcceleratorDeployer(AcceleratorOptions()).services(predictor)
    assert "deployer.target" in str(caught.value)
    assert "torch" in str(caught.value)
    with pytest.raises(ConfigError, match="neither an artifact nor a model"):
        ArtifactPredictor(ArtifactOptions())
    with pytest.raises(ArtifactError, match="no artifact in this folder"):
        ArtifactPredictor(ArtifactOptions(artifact="nowhere"))


def test_what_leads_to_no_decoder_is_refused(pretrained, small):
    def made(**settings):
        return GeneratePredictor(GenerateOptions(**settings).at(pretrained))

    with pytest.raises(ConfigError, match="names no decoder"):
        made()
    with pytest.raises(ConfigError, match="in two ways"):
        made(config_name="config.json", model_name_or_path="model")
    with pytest.raises(LoadError) as caught:
        made(model_name_or_path="openai/gpt2")
    assert "allow_download = true" in str(caught.value)
    with pytest.raises(ConfigError, match="has not so many positions"):
        made(model_name_or_path="model", max_seq_length=500).load()
    with pytest.raises(ConfigError, match="not one token"):
        made(model_name_or_path="model", tokenizer="bytes", stop_tokens=("ab",)).limits()
    with pytest.raises(ConfigError, match="is no decoder"):
        _ = made(artifact=str(small)).lengths


# --- prompts -------------------------------------------------------------------------------------


def generating(pretrained, **settings):
    given = {"model_name_or_path": "model", "tokenizer": "bytes", "lengths": (16,)} | settings
    return GeneratePredictor(GenerateOptions(**given).at(pretrained))


def test_a_prompt_that_is_too_long_is_refused_by_row_or_cut_and_recorded(pretrained):
    records = [{"prompt": "short"}, {"prompt": "abcdefghijklmnopqrstuvwxyz"}]
    with pytest.raises(RowFailure) as caught:
        generating(pretrained).collate(records)
    assert caught.value.positions == (1,)
    assert "has 26 tokens, compiled are 16" in caught.value.message
    for policy, kept in (("cut-start", "opqrstuvwxyz"), ("cut-end", "abcdefghijkl")):
        predictor = generating(pretrained, too_long=policy, max_tokens_to_generate=5)
        deployment = deployed(predictor)
        found = run_batch(predictor, deployment, make_batch(predictor, records, [0, 1]))
        assert found["cut"].tolist() == [0, 14]
        assert found["prompt_length"].tolist() == [5, 12]
        assert found["length"].tolist() == [5, 5]
        assert found["text"][1].startswith(kept)


def test_prompts_are_kept_or_trimmed(pretrained):
    records = [{"prompt": "hello"}]
    texts = []
    for keep in (True, False):
        predictor = generating(pretrained, keep_prompt=keep, max_tokens_to_generate=4)
        found = run_batch(predictor, deployed(predictor), make_batch(predictor, records, [0]))
        texts.append(found["text"][0])
    assert texts[0] == "hello" + texts[1] or texts[0].startswith("hello")
    assert not texts[1].startswith("hello")


def test_prompts_that_are_no_text_or_empty(pretrained):
    predictor = generating(pretrained)
    with pytest.raises(RowFailure, match="int, not text"):
        predictor.collate([{"prompt": 3}])
    assert predictor.collate([{"prompt": ""}]) == [([256], 0)]
    assert predictor.collate(["text"]) == [([116, 101, 120, 116], 0)]


# --- rewrites ------------------------------------------------------------------------------------


def test_a_rewrite_is_applied_recorded_and_undone(tmp_path):
    needs("onnxruntime")
    model = gpt2()
    before = model.config._attn_implementation
    given = {"input_ids": np.array([[1, 2, 3]]), "position_ids": np.array([[0, 1, 2]])}

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.config = model, model.config

        def forward(self, input_ids, position_ids):
            return self.inner(input_ids, position_ids=position_ids, use_cache=False).logits

    made = compile(
        Wrapped().eval(), given, tmp_path, target="onnxruntime", rewrites=["eager-attention"]
    )
    assert made.manifest.rewrites == ("eager-attention",)
    assert model.config._attn_implementation == before != "eager"
    with pytest.raises(CompileError, match="does not apply"):
        compile(
            Small(), small_inputs(), tmp_path / "x", target="openvino", rewrites=["eager-attention"]
        )


def test_rewrites_are_undone_in_reverse_whatever_happens(site):
    site.module(
        "changes",
        "CALLS = []\n"
        "def one(model, context):\n"
        "    CALLS.append(('one', context.target))\n"
        "    return lambda: CALLS.append('undo one')\n"
        "def two(model, context):\n"
        "    CALLS.append('two')\n"
        "    return lambda: CALLS.append('undo two')\n",
    )
    site.module(
        "changing",
        "from foretell import Entry, hookimpl\n"
        "@hookimpl\n"
        "def register_rewrites():\n"
        "    return [Entry('one', 'One', 'changes:one'), Entry('two', 'Two', 'changes:two')]\n",
    )
    site.install("foretell-changing", "changing = changing")
    from foretell_accelerator import registry

    registry._registries.cache_clear()
    try:
        with pytest.raises(RuntimeError), rewritten(object(), ["one", "two"], RewriteContext("t")):
            raise RuntimeError("in between")
        assert importlib.import_module("changes").CALLS == [
            ("one", "t"),
            "two",
            "undo two",
            "undo one",
        ]
    finally:
        registry._registries.cache_clear()


def test_a_strangers_target_is_one_like_any_other(site, tmp_path):
    site.module(
        "numpy_target",
        "import pickle\n"
        "import numpy as np\n"
        "from foretell_accelerator import Runner, Target\n"
        "class Host(Runner):\n"
        "    def __init__(self, weight):\n"
        "        self.weight = weight\n"
        "    def run(self, inputs):\n"
        "        return (np.asarray(inputs[0]) @ self.weight.T,)\n"
        "class NumpyTarget(Target):\n"
        "    name = 'numpy'\n"
        "    frameworks = frozenset({'torch'})\n"
        "    extra = ''\n"
        "    def usable(self):\n"
        "        return ''\n"
        "    def compile(self, traceable, folder, settings):\n"
        "        np.save(folder / 'w.npy', traceable.model.weight.detach().numpy())\n"
        "    def load(self, folder, program, settings, model=None):\n"
        "        return Host(np.load(folder / 'w.npy'))\n"
        "    def versions(self):\n"
        "        return {'numpy': np.__version__}\n",
    )
    site.module(
        "numpy_plugin",
        "from foretell import Entry, hookimpl\n"
        "@hookimpl\n"
        "def register_targets():\n"
        "    return [Entry('numpy', 'NumPy', 'numpy_target:NumpyTarget')]\n",
    )
    site.install("foretell-numpy", "numpy = numpy_plugin")
    from foretell_accelerator import registry

    registry._registries.cache_clear()
    try:
        linear = torch.nn.Linear(3, 2, bias=False)
        x = np.arange(12, dtype="float32").reshape(4, 3)
        made = compile(linear, {"input": x}, tmp_path, target="numpy")
        np.testing.assert_allclose(
            made.run(input=x)["output"], x @ linear.weight.detach().numpy().T, rtol=1e-6
        )
        assert made.path is not None
        assert json.loads((made.path / "manifest.json").read_text())["target"] == "numpy"
    finally:
        registry._registries.cache_clear()
