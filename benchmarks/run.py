"""Run every benchmark and write one table: results.md and results.json.

python benchmarks/run.py [--small | --full] [--rounds N] [--only a_light,c_startup] [--output DIR]
"""

from __future__ import annotations

import importlib
import os
import platform
import time
from importlib import metadata
from pathlib import Path

from lab.main import parser, rounds_of, save, say

ALL = (
    "c_startup",
    "d_waits",
    "a_light",
    "a_parts",
    "b_heavy",
    "e_many_chunks",
    "memory",
    "store_open",
    "protections",
    "forecast",
    "f_experts",
    "f_jax",
    "torch_module",
    "lightning_writer",
    "accelerator",
    "dashboard",
)
PACKAGES = (
    "foretell", "numpy", "zarr", "dask", "distributed", "torch", "transformers", "daft",
    "lightning", "ray", "jax", "redco", "hivemind", "openvino", "onnxruntime",
)  # fmt: skip


def facts(form: str) -> dict[str, str]:
    """What the figures depend on."""
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    load = os.getloadavg()
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "form": form,
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}",
        "python": platform.python_version(),
        "versions": ", ".join(versions),
        "load average at the start": f"{load[0]:.1f} (1 min), {load[1]:.1f} (5 min)",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def run_all() -> None:
    """Run what was asked for; a benchmark that fails is said so and the others go on."""
    options = parser(__doc__)
    options.add_argument("--only", default=",".join(ALL))
    options.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    given = options.parse_args()
    found, known = [], facts(given.form)
    for name in given.only.split(","):
        say(f"{name} …")
        clock = time.perf_counter()
        try:
            reports = importlib.import_module(name).measure(given.form, rounds_of(given), say)
        except Exception as error:
            say(f"{name} failed: {type(error).__name__}: {error}")
            known[f"{name} failed"] = f"{type(error).__name__}: {error}".splitlines()[0]
            continue
        for report in reports:
            print(report.markdown(), flush=True)
        found += reports
        known[f"{name} took"] = f"{time.perf_counter() - clock:.0f} s"
        save(found, given.output, known)
    say(f"written: {given.output}/results.md, results.json")


if __name__ == "__main__":
    run_all()
