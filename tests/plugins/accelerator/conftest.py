"""Helpers of these tests stand in ``parts``, where jobs find them too."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PARTS = HERE / "parts"
if str(PARTS) not in sys.path:
    sys.path.insert(0, str(PARTS))


@pytest.fixture(scope="class")
def standin():
    """SambaNova's package, as far as its tutorial shows it, computing on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE / "standin"))
        import sambaflow.samba

        yield sambaflow.samba
    for name in [name for name in sys.modules if name.partition(".")[0] == "sambaflow"]:
        del sys.modules[name]


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache of this test's own."""
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"
