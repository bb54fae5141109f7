"""Through the command: compile, predict without the model's source, kill, resume, refuse."""

import json
import shutil
import time
from pathlib import Path

import foretell
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
import torch
from decoders import Small, config, gpt2, needs, small_inputs
from foretell.cli.app import run as sdk
from foretell.text import visible

PARTS = Path(__file__).parent / "parts"

JOB = """\
version = 1
[source]
kind = "prompts"
path = "prompts.jsonl"
[predictor]
kind = "generate"
config_name = "config.json"
checkpoint_name = "weights.pt"
tokenizer = "bytes"
lengths = [16, 24]
max_tokens_to_generate = 4
batch_size = 4
[writer]
path = "out.zarr"
[schedule]
chunk = 8
"""

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog"]


@pytest.fixture
def desk(bench):
    """A folder with a decoder, its prompts and a job."""
    folder = bench.folder
    config().to_json_file(folder / "config.json")
    torch.save(gpt2().state_dict(), folder / "weights.pt")
    lines = [{"prompt": WORDS[i % 9][:5] + " " + WORDS[i % 7]} for i in range(40)]
    lines[13] = {"text": "no prompt"}
    (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "job.toml").write_text(JOB)
    return bench


def test_compile_then_predict_without_the_decoder(desk):
    needs("openvino")
    folder = desk.folder
    words = ["--artifact", "art", "--set=deployer.target=openvino", "--set=predictor.lengths=[16]"]
    made = desk.sdk("compile", "job.toml", *words)
    assert made.code == 0, made.err
    assert "openvino, fp32, cpu" in made.out
    assert "program prefill-b4-l16" in made.out
    assert "logits: differs by" in made.out
    # Nothing but the artifact and the prompts is left.
    for name in ("config.json", "weights.pt"):
        (folder / name).unlink()
    (folder / "job.toml").write_text(
        JOB.replace('config_name = "config.json"\ncheckpoint_name = "weights.pt"\n', "").replace(
            'tokenizer = "bytes"\nlengths = [16, 24]', 'artifact = "art"'
        )
    )
    done = desk.sdk("predict", "job.toml")
    assert done.code == 3, done.err  # one row has no prompt
    desk.verified()
    run = desk.opened()
    assert run["text"].masked()[0].startswith("the")
    assert "no key 'prompt'" in desk.sdk("failures", str(desk.store)).out
    assert "prompts.jsonl:14" in desk.sdk("failures", str(desk.store)).out
    shown = desk.sdk("show", str(desk.store), "text", "--separator")
    texts = shown.out.split("\n" + "-" * 20 + "\n")
    assert len(texts) == 39
    assert texts[0] == visible(run["text"].filled()[0], keep="\n\t")
    # A changed byte is refused before anything runs.
    manifest = folder / "art" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("fp32", "bf16"))
    refused = desk.sdk("predict", "job.toml", "--output", "other.zarr")
    assert refused.code == 4
    assert "changed or is damaged" in refused.err
    assert not (folder / "other.zarr").exists()


def test_killed_and_resumed_in_mid_generation_loses_no_finished_prompt(desk):
    command = desk.command("predict", "job.toml", sets={"predictor.do_sample": "true"})
    process = desk.start(command)
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if len(list((desk.store / "_run" / "ledger").glob("*"))) >= 2:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert desk.sdk("resume", str(desk.store)).code == 3
    desk.verified()
    killed = desk.outputs()
    shutil.move(desk.store, desk.folder / "killed.zarr")
    assert desk.run(command).code == 3
    assert desk.outputs() == killed


def test_a_model_compiled_while_deploying_is_compiled_once(desk):
    needs("onnxruntime")
    shutil.copy(PARTS / "decoders.py", desk.folder)
    np.savez(desk.folder / "x.npz", **small_inputs(40))
    np.save(desk.folder / "x.npy", small_inputs(40)["x"])
    (desk.folder / "helpers.py").write_text(
        "import numpy as np\n"
        "def collate(x):\n"
        "    return {'x': x, 'scale': np.ones(len(x), 'float32')}\n"
    )
    sets = {
        "predictor.kind": "artifact",
        "predictor.collate": "helpers:collate",
        "predictor.batch_size": 8,
        "deployer.kind": "accelerator",
        "deployer.target": "onnxruntime",
        "schedule.chunk": 16,
    }
    words = ["predict", "--source", "x.npy", "--model", "decoders:Small", "--output"]
    for output in ("one.zarr", "two.zarr"):
        done = desk.run(desk.command(*words, output, sets=sets))
        assert done.code == 0, done.err
        assert ("compiled for onnxruntime in" in done.err) == (output == "one.zarr")
    assert len(list((desk.folder / "cache").rglob("model.onnx"))) == 1
    stats = [
        next(iter(desk.json("status", output)["workers"]))["deployment"]
        for output in ("one.zarr", "two.zarr")
    ]
    assert [figures["compilations"] for figures in stats] == [1, 0]
    found = foretell.open_run(str(desk.folder / "two.zarr"))["logits"][:]
    given = small_inputs(40)
    with torch.no_grad():
        expected = Small().eval()(torch.from_numpy(given["x"]), torch.ones(40))["logits"]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
    plan = desk.run(desk.command("plan", *words[1:], "three.zarr", sets=sets))
    assert "onnxruntime, fp32, cpu" in plan.out, plan.out + plan.err


def test_doctor_lists_the_targets(desk):
    lines = desk.sdk("doctor").out.splitlines()
    told = {line.split()[2]: line for line in lines if " target " in f" {line} "}
    assert set(told) >= {"torch", "aot-inductor", "openvino", "onnxruntime", "jax-export"}
    assert "SambaNova" in told["sambaflow"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("deployer.target=openvno", 'no target is called "openvno"'),
        ("deployer.target=jax-export", "compiles no torch models"),
        ("deployer.target=torch", "makes no artifact"),
        ("deployer.kind=local", "another deployer"),
        ("predictor.use_cache=maybe", "use_cache"),
    ],
)
def test_compile_refuses_what_cannot_be_compiled(desk, monkeypatch, capsys, setting, said):
    monkeypatch.chdir(desk.folder)
    code = sdk(["compile", "job.toml", "--artifact", "art", f"--set={setting}"])
    assert code in (2, 4)
    assert said in capsys.readouterr().err
    assert not (desk.folder / "art").exists()
