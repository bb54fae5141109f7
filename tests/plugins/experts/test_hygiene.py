"""Importing the package is light, and a missing framework says what to install."""

from __future__ import annotations

import json
import subprocess
import sys

import foretell_experts
import pytest
from foretell_experts.errors import framework_missing, not_loaded

LIGHT = ["foretell_experts"] + [
    f"foretell_experts.{name}" for name in ("plugin", "settings", "predictor", "deployer", "errors")
]

_BLOCKED = """
import sys
for name in ("torch", "safetensors"):
    sys.modules[name] = None
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_imports_no_framework(module):
    code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(run(code)))
    assert not loaded & {"torch", "safetensors", "dask", "distributed", "zarr"}


def test_without_the_framework_the_extra_is_named():
    code = (
        _BLOCKED + "import foretell_experts\n"
        "try:\n"
        "    foretell_experts.TaskPool\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert "the expert pool needs torch: pip install 'foretell[experts]'" in run(code)


def test_a_job_is_refused_before_anything_starts():
    code = (
        _BLOCKED + "from foretell_experts.errors import check_framework\n"
        "try:\n"
        "    check_framework()\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    printed = run(code)
    assert "the expert pool needs torch" in printed
    assert "pip install 'foretell[experts]'" in printed


def test_an_error_of_loading_says_the_same():
    error = not_loaded("the router", ModuleNotFoundError("no", name="torch"))
    assert "foretell[experts]" in str(error)
    other = ModuleNotFoundError("no", name="scipy")
    assert framework_missing(other) is other
    assert "scipy" in str(not_loaded("the router", ModuleNotFoundError("no scipy", name="scipy")))


def test_every_public_name_is_there():
    pytest.importorskip("torch")
    for name in foretell_experts.__all__:
        assert getattr(foretell_experts, name) is not None
    assert dir(foretell_experts) == sorted(foretell_experts.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Runtimes'"):
        _ = foretell_experts.Runtimes
