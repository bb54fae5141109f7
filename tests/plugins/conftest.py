"""Plugins made up for a test, and the devices that tests of JAX share."""

import importlib
import sys
from pathlib import Path

import pytest

DEVICES = 8


@pytest.fixture(scope="session")
def eight_devices():
    """Eight simulated devices, chosen before JAX looks for any: a process has to decide once."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    assert jax.device_count() == DEVICES


class Site:
    """A folder on ``sys.path`` in which distributions can be installed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.modules: list[str] = []

    def install(self, name: str, *points: str, version: str = "1.0") -> None:
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = "".join(f"{point}\n" for point in points)
        (info / "entry_points.txt").write_text(f"[foretell]\n{lines}")
        importlib.invalidate_caches()

    def module(self, name: str, text: str) -> None:
        (self.path / f"{name}.py").write_text(text)
        self.modules.append(name)
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = Site(folder)
    yield made
    for name in made.modules:
        sys.modules.pop(name, None)


SOURCE_PLUGIN = """\
from foretell import Entry, hookimpl

@hookimpl
def register_sources():
    return [Entry("tiles", "Tiles of a map", "tiles_parts:TileSource", extra="gdal")]
"""

SOURCE_CLASS = """\
from foretell.abc import Source, SourceOptions

class TileOptions(SourceOptions):
    zoom: int = 3

class TileSource(Source):
    Options = TileOptions
"""


@pytest.fixture
def tiles(site):
    """A stranger's distribution that brings a source called ``tiles``."""
    site.module("tiles_plugin", SOURCE_PLUGIN)
    site.module("tiles_parts", SOURCE_CLASS)
    site.install("foretell-tiles", "tiles = tiles_plugin")
    return site
