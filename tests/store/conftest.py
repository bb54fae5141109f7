import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from foretell.store.local import LocalObjects
from foretell.store.manifest import Manifest, new_manifest, write_manifest
from foretell.store.objects import ObjectStore, set_fault_hook
from ledger_model import FakeTime, plan_json


@pytest.fixture(autouse=True)
def _no_fault_left() -> Iterator[None]:
    yield
    set_fault_hook(None)


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    store = LocalObjects(str(tmp_path / "run"), label="driver")
    store.ensure_root()
    return store


@pytest.fixture
def manifest_of() -> Callable[[int], Manifest]:
    def make(n_chunks: int) -> Manifest:
        return new_manifest(
            job={}, fingerprint={}, plan=plan_json(n_chunks), versions={}, created=1.0
        )

    return make


@pytest.fixture
def new_run(manifest_of: Callable[[int], Manifest]) -> Callable[[ObjectStore, int], Manifest]:
    """Writes the manifest of a run with that many chunks."""

    def make(objects: ObjectStore, n_chunks: int) -> Manifest:
        manifest = manifest_of(n_chunks)
        assert write_manifest(objects, manifest)
        return manifest

    return make


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps; killed at the end."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()
