"""Tests that read the documentation, and compare it with the code or do what it says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"

for place in (HERE, DOCS / "tools"):
    sys.path.insert(0, str(place))


@pytest.fixture(scope="session")
def read() -> Callable[[str], str]:
    """The text of a page by its path below ``docs/``."""
    return lambda name: (DOCS / name).read_text(encoding="utf-8")
