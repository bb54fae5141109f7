import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def touch_later() -> Callable[[Path], None]:
    """Gives a file a later time of change, and nothing else."""

    def touch(path: Path) -> None:
        stat = path.stat()
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 3_000_000_000))

    return touch
