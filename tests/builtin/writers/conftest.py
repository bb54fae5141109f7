from pathlib import Path

import pytest
from foretell.store.local import LocalObjects


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    store = LocalObjects(str(tmp_path / "run"), label="driver")
    store.ensure_root()
    return store
