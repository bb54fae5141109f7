from pathlib import Path
from types import SimpleNamespace

import pytest
from foretell.abc.options import (
    DeployerOptions,
    Options,
    PredictorOptions,
    SourceOptions,
    WriterOptions,
)
from foretell.config.load import load_job
from foretell.config.suggest import nearest
from foretell.errors import UnknownPlugin
from pydantic import Field


class TileOptions(SourceOptions):
    array: str | None = Field(default=None, description="Which array of the store.")


KINDS: dict[str, dict[str, type[Options]]] = {
    "source": {"zarr": TileOptions, "npy": SourceOptions, "jsonl": SourceOptions},
    "predictor": {"callable": PredictorOptions, "torch": PredictorOptions},
    "deployer": {"local": DeployerOptions, "torch": DeployerOptions},
    "writer": {"zarr": WriterOptions, "parquet": WriterOptions},
}


def resolve(section, kind):
    known = KINDS[section]
    if kind not in known:
        raise UnknownPlugin(section, kind, sorted(known), nearest(kind, known))
    return known[kind]


WHOLE = {
    "source.path": "tiles.zarr",
    "predictor.model": "model.py:predict",
    "writer.path": "runs/tiles.zarr",
}


class Folder:
    """A working directory with files in it, and jobs loaded from there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def load(self, path=None, *, env=None, **options):
        options.setdefault("default_deployer", lambda kind: {"torch": "torch"}.get(kind, "local"))
        return load_job(path, env=env or {}, cwd=self.path, resolve=resolve, **options)

    def whole(self, path=None, *, sets=None, **options):
        return self.load(path, sets={**WHOLE, **(sets or {})}, **options)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="session")
def kinds():
    """The registered kinds of these tests, their resolver, and folders to load from."""
    return SimpleNamespace(KINDS=KINDS, resolve=resolve, Folder=Folder)
