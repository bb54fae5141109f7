import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from foretell import demo
from foretell.builtin.predictors.callable import CallableOptions, CallablePredictor
from foretell.demo.model import Digits
from foretell.testing import PredictorContract


def test_the_copy_runs_by_itself(tmp_path):
    job = demo.write(tmp_path / "new" / "place")
    settings = tomllib.loads(job.read_text())
    images = np.load(job.parent / settings["source"]["path"])
    assert (images.shape, images.dtype) == ((demo.ROWS, 64), np.uint8)
    options = CallableOptions(**settings["predictor"]).at(job.parent)
    model = CallablePredictor.from_options(options).load()
    assert model.call.delay == 0
    size = settings["predictor"]["batch_size"]
    labels = np.concatenate(
        [model.call(images[at : at + size])["label"] for at in range(0, demo.ROWS, size)]
    )
    found = demo.accuracy(labels)
    assert found.held_out_rows == 449
    assert found.held_out > 0.96
    assert found.all > found.held_out


def test_there_are_chunks_enough_to_interrupt(tmp_path):
    settings = tomllib.loads(demo.write(tmp_path).read_text())
    assert settings["schedule"]["chunk"] % settings["predictor"]["batch_size"] == 0
    assert -(-demo.ROWS // settings["schedule"]["chunk"]) == 57


def test_a_delay_stands_in_the_job_file(tmp_path):
    demo.write(tmp_path)
    settings = tomllib.loads(demo.write(tmp_path, delay=0.25).read_text())
    assert settings["predictor"]["options"] == {"delay": 0.25}


def test_accuracy_counts_what_is_right():
    nothing = demo.accuracy(np.full(demo.ROWS, 10))
    assert (nothing.all, nothing.held_out) == (0, 0)
    zeros = demo.accuracy(np.zeros(demo.ROWS))
    assert 0.05 < zeros.all < 0.15


def test_probabilities_are_probabilities():
    images = np.random.default_rng(0).integers(0, 17, (40, 64), dtype=np.uint8)
    got = Digits(demo.HERE / "weights.npz")(images)
    np.testing.assert_allclose(got["probability"].sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(got["probability"].argmax(axis=1), got["label"])
    assert got["probability"].dtype == np.float32


def test_the_demo_needs_no_scikit_learn(tmp_path):
    script = (
        "import sys; sys.modules['sklearn'] = None; from foretell import demo;"
        "import numpy as np; demo.write(sys.argv[1]); demo.accuracy(np.zeros(1797))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


class TestDigitsAsPredictor(PredictorContract):
    predictor_class = CallablePredictor
    batch_size = demo.CHUNK

    @pytest.fixture
    def options(self, tmp_path):
        job = demo.write(tmp_path / "demo")
        settings = tomllib.loads(job.read_text())["predictor"]
        return CallableOptions(**settings).at(job.parent)

    @pytest.fixture
    def examples(self, options):
        return np.load(Path(options.base_dir) / "digits.npy")[:100]
