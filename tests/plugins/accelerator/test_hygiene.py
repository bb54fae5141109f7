"""Importing the package is light, and every public name is there."""

import json
import subprocess
import sys

import foretell_accelerator
import pytest

LIGHT = ["foretell_accelerator"] + [
    f"foretell_accelerator.{name}"
    for name in (
        "plugin",
        "settings",
        "source",
        "predictor",
        "deployer",
        "registry",
        "artifact",
        "compiling",
        "decoding.predictor",
        "checks",
    )
]
HEAVY = {"torch", "jax", "openvino", "onnx", "onnxruntime", "transformers", "dask", "zarr"}


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_it_imports_no_framework():
    names = ", ".join(LIGHT)
    code = f"import sys, json, {names}; print(json.dumps(sorted(sys.modules)))"
    assert not set(json.loads(run(code))) & HEAVY


def test_every_public_name_is_there():
    for name in foretell_accelerator.__all__:
        assert getattr(foretell_accelerator, name) is not None
    assert set(foretell_accelerator.__all__) <= set(dir(foretell_accelerator))
    with pytest.raises(AttributeError, match="no attribute 'Artefact'"):
        _ = foretell_accelerator.Artefact


def test_without_a_framework_the_extra_is_named():
    code = (
        "import sys; sys.modules['openvino'] = None\n"
        "from foretell_accelerator.targets.base import framework\n"
        "try:\n"
        "    framework('openvino')\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    printed = run(code)
    assert "openvino cannot be imported" in printed
    assert "pip install 'foretell[accelerator]'" in printed
