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


@pytest.fixture
def small_chunks(monkeypatch):
    """Run stores of the prediction writer have chunks of 16 rows, and nobody waits for a lease."""
    runstore = pytest.importorskip("foretell_torch.writer.runstore")
    from committing import CHUNK_BYTES
    from ledger_model import FakeTime

    monkeypatch.setattr(runstore, "CHUNK_BYTES", CHUNK_BYTES)
    monkeypatch.setattr(runstore, "CLOCK", FakeTime().clock)
