"""What the chaos tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from forks import ForkBench, Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """The process that commands are forked from."""
    server = Forks()
    yield server
    server.close()


@pytest.fixture
def fork_bench(tmp_path: Path, forks: Forks) -> ForkBench:
    """A folder to run forked commands in."""
    return ForkBench(tmp_path, forks=forks)
