from pathlib import Path

import numpy as np
import pytest
from foretell.abc import DeployContext
from foretell.errors import ConfigError, LoadError
from foretell.testing import PredictorContract
from foretell.testing.batches import make_batch, run_batch

pytest.importorskip("torch")
import nets
import torch
from foretell_torch.deployer import TorchDeployer
from foretell_torch.predictor import TorchPredictor
from foretell_torch.settings import TorchDeployerOptions, TorchOptions
from safetensors.torch import save_file

HERE = Path(__file__).parent / "parts"


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(size=(32, 6)).astype("float32")


class TorchContract(PredictorContract):
    predictor_class = TorchPredictor
    heavy = ("safetensors",)

    @pytest.fixture
    def examples(self, numbers):
        return numbers

    @pytest.fixture
    def deployer(self):
        return TorchDeployer(TorchDeployerOptions(device="cpu"))


class TestModuleWithWeights(TorchContract):
    @pytest.fixture
    def options(self, tmp_path):
        torch.manual_seed(1)
        state = {f"net.{k}": v for k, v in _layers().state_dict().items()}
        save_file(state, tmp_path / "small.safetensors")
        path = str(tmp_path / "small.safetensors")
        return TorchOptions(model="nets:Small", checkpoint=path).at(HERE)

    @pytest.fixture
    def changed_options(self, options):
        changes = [{"options": {"width": 9}}, {"model": "nets:built"}, {"version": "2"}]
        return [options.model_copy(update=change) for change in changes]

    def test_the_weights_are_the_checkpoints(self, predictor, deployment, numbers, outputs):
        torch.manual_seed(1)
        with torch.inference_mode():
            expected = _layers()(torch.from_numpy(numbers[:8])).numpy()
        np.testing.assert_allclose(outputs["output"], expected, rtol=1e-6)


class TestNestedOutputs(TorchContract):
    @pytest.fixture
    def options(self):
        return TorchOptions(model="nets.py:Nested", collate="nets.py:by_name").at(HERE)

    def test_the_parts_have_names(self, outputs, numbers):
        assert list(outputs) == ["logits", "pair_0", "pair_1/deep"]
        np.testing.assert_array_equal(outputs["pair_1/deep"], numbers[:8, 0] * 2)


class TestRowsAndKeys(TorchContract):
    @pytest.fixture
    def options(self):
        return TorchOptions(model="nets:Noisy").at(HERE)


class TestTextOutputs(TorchContract):
    @pytest.fixture
    def options(self):
        return TorchOptions(model="nets:built", postprocess="nets:named").at(HERE)


class TestRecords(TorchContract):
    batch_size = 4

    @pytest.fixture
    def options(self):
        return TorchOptions(model="nets:Nested").at(HERE)

    @pytest.fixture
    def examples(self, numbers):
        return [{"x": row, "y": float(row[0])} for row in numbers]


def _layers():
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))


def run(predictor, examples, size=8):
    deployment = TorchDeployer(TorchDeployerOptions(device="cpu")).deploy(
        predictor, DeployContext(size)
    )
    try:
        return run_batch(predictor, deployment, make_batch(predictor, examples, range(size)))
    finally:
        deployment.close()


def test_a_live_module_is_predicted_with_and_left_alone(numbers):
    model = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.Dropout(0.5)).train()
    predictor = TorchPredictor(TorchOptions(), model=model)
    outputs = run(predictor, numbers)
    assert model.training
    assert next(model.parameters()).requires_grad
    np.testing.assert_allclose(
        outputs["output"], model[0](torch.from_numpy(numbers[:8])).detach().numpy(), rtol=1e-6
    )


def test_a_module_that_writes_into_its_input_spoils_nothing(numbers):
    before = numbers.copy()
    predictor = TorchPredictor(TorchOptions(model="nets:Spoils").at(HERE))
    run(predictor, numbers)
    np.testing.assert_array_equal(numbers, before)


def test_a_module_of_the_file_and_a_function_are_the_same(numbers):
    made = [TorchPredictor(TorchOptions(model=f"nets:{n}").at(HERE)) for n in ("built", "seeded")]
    one, other = (run(predictor, numbers)["output"] for predictor in made)
    np.testing.assert_array_equal(one, other)


def test_a_builder_that_takes_the_checkpoint_loads_it_itself(tmp_path, numbers):
    torch.save(nets.built().state_dict(), tmp_path / "w.pt")
    options = TorchOptions(model="nets:with_path", checkpoint=str(tmp_path / "w.pt")).at(HERE)
    plain = TorchOptions(model="nets:built").at(HERE)
    got, expected = (run(TorchPredictor(o), numbers)["output"] for o in (options, plain))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"model": "nets:not_a_module"}, "gives no torch.nn.Module"),
        ({"model": "nets:breaks"}, "could not be made"),
        ({"model": "nets:seeded", "options": {"width": 3}}, "takes no options"),
        ({"model": "nets:Small", "options": {"depth": 3}}, "could not be made"),
        ({"model": "nets:Nope"}, "has no 'Nope'"),
    ],
)
def test_what_gives_no_module_is_refused_with_its_cause(settings, told):
    with pytest.raises((LoadError, ConfigError), match=told):
        TorchPredictor(TorchOptions(**settings).at(HERE)).load()


def test_without_a_model_nothing_starts():
    with pytest.raises(ConfigError, match="names no model"):
        TorchPredictor(TorchOptions())


def test_text_cannot_be_stacked_and_says_so():
    predictor = TorchPredictor(TorchOptions(model="nets:built").at(HERE))
    with pytest.raises(ConfigError, match="cannot be stacked"):
        predictor.collate([{"text": "a"}, {"text": "b"}])


def test_it_recognises_modules_alone():
    assert TorchPredictor.recognises(torch.nn.Linear(1, 1))
    assert not TorchPredictor.recognises(len)
