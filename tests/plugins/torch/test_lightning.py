from pathlib import Path

import numpy as np
import pytest
from foretell.abc import DeployContext
from foretell.errors import ConfigError, LoadError
from foretell.testing import PredictorContract
from foretell.testing.batches import make_batch, run_batch

pytest.importorskip("torch")
import torch

pytest.importorskip("lightning")
from foretell_torch.deployer import TorchDeployer
from foretell_torch.lightning.predictor import LightningPredictor
from foretell_torch.predictor import TorchPredictor
from foretell_torch.settings import LightningOptions, TorchDeployerOptions
from modules import Plain, Telling
from trainer_run import trainer

pytestmark = pytest.mark.filterwarnings("default:::lightning", "ignore::UserWarning")
HERE = Path(__file__).parent / "parts"


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(size=(32, 6)).astype("float32")


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint that a Trainer wrote."""
    model = Plain(width=5)
    runner = trainer([])
    runner.strategy.connect(model)
    runner.save_checkpoint(tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


class LightningContract(PredictorContract):
    predictor_class = LightningPredictor
    heavy = ("safetensors",)

    @pytest.fixture
    def examples(self, numbers):
        return numbers

    @pytest.fixture
    def deployer(self):
        return TorchDeployer(TorchDeployerOptions(device="cpu"))


class TestCheckpoint(LightningContract):
    @pytest.fixture
    def options(self, checkpoint):
        return LightningOptions(model="modules:Plain", checkpoint=str(checkpoint)).at(HERE)

    def test_hyperparameters_and_weights_are_the_checkpoints(self, predictor, outputs, numbers):
        assert predictor.load().hparams["width"] == 5
        with torch.inference_mode():
            expected = Plain(5)(torch.from_numpy(numbers[:8])).numpy()
        np.testing.assert_allclose(outputs["output"], expected, rtol=1e-6)


class TestRecords(LightningContract):
    @pytest.fixture
    def examples(self, numbers):
        return list(numbers)

    @pytest.fixture
    def options(self):
        return LightningOptions(model="modules:Telling", datamodule="modules:Digits").at(HERE)

    # Which batch a row is in is what this predict_step tells, so rows differ by batch.
    test_a_row_does_not_depend_on_its_place_or_its_neighbours = None  # type: ignore[assignment]


def test_batch_numbers_are_those_of_the_whole_source(numbers, tmp_path):
    log = tmp_path / "log"
    options = LightningOptions(
        model="modules:Telling", options={"log": str(log)}, dataloader_idx=1
    ).at(HERE)
    predictor = LightningPredictor(options)
    deployer = TorchDeployer(TorchDeployerOptions(device="cpu"))
    deployment = deployer.deploy(predictor, DeployContext(8))
    for start in (16, 0):
        batch = make_batch(predictor, numbers, range(start, start + 8), real=5)
        got = run_batch(predictor, deployment, batch)
        assert set(got["batch"].tolist()) == {start // 8}
        assert set(got["loader"].tolist()) == {1}
    deployment.close()
    ends = "end ['batch', 'loader', 'logits']"
    assert log.read_text().splitlines() == [
        "setup predict",
        "start",
        "epoch start",
        "batch 2 1",
        ends,
        "batch 0 1",
        ends,
        "epoch end",
        "end",
        "teardown predict",
    ]


def test_the_same_rows_as_a_trainer(numbers):
    model = Telling()
    runner = trainer([])
    loader = torch.utils.data.DataLoader(torch.from_numpy(numbers), batch_size=8)
    expected = torch.cat([part["logits"] for part in runner.predict(model, loader)])
    predictor = LightningPredictor(LightningOptions(), model=model)
    deployment = TorchDeployer(TorchDeployerOptions(device="cpu")).deploy(
        predictor, DeployContext(8)
    )
    for at in range(0, 32, 8):
        got = run_batch(predictor, deployment, make_batch(predictor, numbers, range(at, at + 8)))
        np.testing.assert_allclose(got["logits"], expected[at : at + 8], rtol=1e-6)
    deployment.close()


def test_strategies_over_devices_are_refused_with_the_way_out():
    for strategy in ("ddp", "fsdp", "deepspeed_stage_3"):
        with pytest.raises(ConfigError) as caught:
            LightningPredictor(LightningOptions(model="modules:Plain", strategy=strategy).at(HERE))
        assert "schedule.workers" in str(caught.value)
        assert "PredictionWriter" in str(caught.value)
    LightningPredictor(LightningOptions(model="modules:Plain", strategy="auto").at(HERE))


def test_it_takes_lightning_modules_alone():
    assert LightningPredictor.recognises(Plain())
    assert not LightningPredictor.recognises(torch.nn.Linear(1, 1))
    assert not TorchPredictor.recognises(Plain())
    with pytest.raises(LoadError, match="gives no LightningModule"):
        LightningPredictor(LightningOptions(model="nets:built").at(HERE)).load()


def test_a_checkpoint_of_another_class_is_refused_with_its_names(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["more"] = torch.zeros(1)
    torch.save(content, tmp_path / "other.ckpt")
    options = LightningOptions(model="modules:Plain", checkpoint=str(tmp_path / "other.ckpt"))
    with pytest.raises(LoadError) as caught:
        LightningPredictor(options.at(HERE)).load()
    assert ("unexpected", "more") in caught.value.facts
