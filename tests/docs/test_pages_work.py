"""Tutorial and how-to pages do what they say: files are saved, commands typed, code run."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

import foretell
import pytest
import s3_standin
from pages import steps
from reader import Reader

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(p for d in ("tutorial", "how-to") for p in (DOCS / d).glob("*.md"))
PAGES = [page for page in PAGES if page.name != "index.md"]
SCHEDULER_PORT = "8786"
BUCKET = "lab"

_PIP = """#!/bin/sh
# pip as the page types it, without a network: what it depends on is installed.
shift
exec {python} -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \\
  --no-index --target {site} "$@"
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has just installed foretell."""
    scripts, site = tmp_path / "bin", tmp_path / "site"
    scripts.mkdir()
    pip = scripts / "pip"
    pip.write_text(_PIP.format(python=sys.executable, site=site))
    pip.chmod(pip.stat().st_mode | stat.S_IXUSR)
    venv = str(Path(sys.executable).parent)
    package = str(Path(foretell.__file__).parents[1])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FORETELL_")}
    return {
        **kept,
        "PATH": os.pathsep.join([str(scripts), venv, os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(site), package]),
        "FORETELL_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONWARNINGS": "ignore",
        "NO_COLOR": "1",
    }


def free_port() -> str:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(
    page: Path, tmp_path: Path, env: dict[str, str], request: pytest.FixtureRequest
) -> None:
    text = page.read_text(encoding="utf-8").replace(SCHEDULER_PORT, free_port())
    if f"s3://{BUCKET}" in text:
        endpoint = request.getfixturevalue("s3_endpoint")
        env = {**env, **s3_standin.variables(endpoint)}
        bucket = s3_standin.new_bucket(endpoint)
        text = text.replace(f"s3://{BUCKET}", f"s3://{bucket}").replace(
            f'"{BUCKET}"', f'"{bucket}"'
        )
    todo = steps(text)
    assert todo, "a page that shows nothing to do needs no place here"
    folder = tmp_path / "work"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        reader = Reader(folder, env)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(reader.end)
        for step in todo:
            reader.do(step)
