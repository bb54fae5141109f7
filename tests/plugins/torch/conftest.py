"""Helpers of these tests stand in ``parts``, where jobs find them too."""

import sys
from pathlib import Path

import pytest

PARTS = Path(__file__).parent / "parts"
if str(PARTS) not in sys.path:
    sys.path.insert(0, str(PARTS))


@pytest.fixture
def out(tmp_path):
    """A folder for predictions; nobody has made it, nor the one it is in."""
    return tmp_path / "made" / "here"
