"""The contracts of predictors and of the deployer."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
from decoders import needs, small_inputs
from foretell.testing import DeployerContract, PredictorContract
from foretell_accelerator.decoding.predictor import GeneratePredictor
from foretell_accelerator.deployer import AcceleratorDeployer
from foretell_accelerator.predictor import ArtifactPredictor
from foretell_accelerator.settings import (
    AcceleratorOptions,
    ArtifactOptions,
    GenerateOptions,
)

PARTS = Path(__file__).parent / "parts"
WORDS = ["the", "quick", "brown", "fox", "jumps"]
PROMPTS = [{"prompt": " ".join(WORDS[: 1 + i % 5])} for i in range(32)]


class Deployed:
    @pytest.fixture
    def deployer(self):
        return AcceleratorDeployer(AcceleratorOptions())


class TestArtifactPredictor(Deployed, PredictorContract):
    predictor_class = ArtifactPredictor
    heavy = ("onnxruntime", "openvino", "safetensors")

    @pytest.fixture
    def options(self, small):
        return ArtifactOptions(artifact=str(small))

    @pytest.fixture
    def examples(self):
        return small_inputs(32)


class TestGenerate(Deployed, PredictorContract):
    predictor_class = GeneratePredictor
    heavy = ("onnxruntime", "openvino", "safetensors")

    @pytest.fixture
    def options(self, pretrained):
        return GenerateOptions(
            config_name="config.json",
            checkpoint="weights.pt",
            tokenizer="bytes",
            lengths=(24, 32),
            max_tokens_to_generate=4,
            logprobs=True,
        ).at(pretrained)

    @pytest.fixture
    def examples(self):
        return PROMPTS


class TestSampled(TestGenerate):
    @pytest.fixture
    def options(self, pretrained):
        return GenerateOptions(
            model_name_or_path="model",
            tokenizer="decoders:Echo",
            max_seq_length=32,
            max_tokens_to_generate=4,
            do_sample=True,
            temperature=1.5,
            top_k=40,
            keep_prompt=False,
        ).at(pretrained)

    # A row keeps its key wherever it stands, and the kit moves rows.


class DeploysSmall(DeployerContract):
    deployer_class = AcceleratorDeployer
    heavy = ("onnxruntime", "openvino", "safetensors")
    settings: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def cached(self, own_cache):
        return own_cache

    @pytest.fixture
    def options(self):
        needs(self.settings["target"])
        return AcceleratorOptions(**self.settings)

    @pytest.fixture
    def predictor(self):
        return ArtifactPredictor(ArtifactOptions(model="decoders:Small").at(PARTS))

    @pytest.fixture
    def examples(self):
        return small_inputs(32)


class TestOpenVinoInTwoSlots(DeploysSmall):
    settings: ClassVar[dict[str, Any]] = {"target": "openvino", "slots": 2}


class TestPlainTorch(DeploysSmall):
    settings: ClassVar[dict[str, Any]] = {"target": "torch", "slots": 2}


class TestDecoder(DeployerContract):
    deployer_class = AcceleratorDeployer
    heavy = ("onnxruntime", "openvino", "safetensors")

    @pytest.fixture
    def options(self):
        return AcceleratorOptions(slots=2)

    @pytest.fixture
    def predictor(self, pretrained):
        settings = GenerateOptions(
            model_name_or_path="model", tokenizer="bytes", lengths=(32,), max_tokens_to_generate=3
        )
        return GeneratePredictor(settings.at(pretrained))

    @pytest.fixture
    def examples(self):
        return PROMPTS
