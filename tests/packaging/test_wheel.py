"""What is in the wheel, and that it works by itself."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("foretell-*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    plugins = {f"foretell_{name}" for name in ("accelerator", "experts", "jax", "torch", "tui")}
    assert tops == {"foretell", *plugins}
    for needed in ("py.typed", "demo/digits.npz", "demo/weights.npz", "demo/model.py"):
        assert f"foretell/{needed}" in names
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in names)


def test_the_wheel_runs_without_the_repository(wheel, tmp_path):
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    code = (
        "import foretell, pathlib, sys\n"
        "assert pathlib.Path(foretell.__file__).is_relative_to(sys.argv[1]), foretell.__file__\n"
        "from foretell.cli import main\n"
        "sys.argv = ['sdk', 'init', 'first']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(unpacked)],
        cwd=tmp_path, env={"PYTHONPATH": str(unpacked), "HOME": str(tmp_path), "PATH": "/usr/bin"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "first" / "job.toml").exists()
