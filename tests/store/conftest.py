from collections.abc import Iterator
from pathlib import Path

import pytest
from foretell.store.local import LocalObjects
from foretell.store.objects import set_fault_hook


@pytest.fixture(autouse=True)
def _no_fault_left() -> Iterator[None]:
    yield
    set_fault_hook(None)


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    store = LocalObjects(str(tmp_path / "run"), label="driver")
    store.ensure_root()
    return store
