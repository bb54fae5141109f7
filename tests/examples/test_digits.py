import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from foretell import demo
from foretell.builtin.predictors.callable import CallableOptions, CallablePredictor
from foretell.demo.model import Digits

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"


def test_training_gives_a_network_as_good_as_the_one_that_is_shipped(tmp_path):
    pytest.importorskip("sklearn")
    script = [sys.executable, str(EXAMPLE / "train.py"), "--output", str(tmp_path)]
    subprocess.run(script, check=True, capture_output=True)
    with np.load(tmp_path / "digits.npz") as made, np.load(demo.HERE / "digits.npz") as shipped:
        for name in ("images", "labels", "held_out"):
            np.testing.assert_array_equal(made[name], shipped[name])
        labels = Digits(tmp_path / "weights.npz")(made["images"])["label"]
    assert demo.accuracy(labels).held_out > 0.96


def test_the_job_finds_model_weights_and_data_from_the_repository():
    settings = tomllib.loads((EXAMPLE / "job.toml").read_text())
    options = CallableOptions(**settings["predictor"]).at(EXAMPLE)
    predictor = CallablePredictor.from_options(options)
    assert predictor.fingerprint()["checkpoint"].startswith("sha256:")
    with np.load(EXAMPLE / settings["source"]["path"]) as data:
        images = data[settings["source"]["array"]]
    assert demo.accuracy(predictor.load().call(images)["label"]).held_out > 0.96
