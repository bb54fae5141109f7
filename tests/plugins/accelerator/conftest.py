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


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An artifact of the small module."""
    from decoders import Small, needs, small_inputs
    from foretell_accelerator import compile

    needs("onnxruntime")
    folder = tmp_path_factory.mktemp("small")
    made = compile(Small().eval(), small_inputs(), folder, "small", "onnxruntime")
    made.close()
    return made.path


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder as transformers saves one, and a configuration with its weights apart."""
    import torch
    from decoders import config, gpt2

    folder = tmp_path_factory.mktemp("pretrained")
    model = gpt2()
    model.save_pretrained(folder / "model")
    config().to_json_file(folder / "config.json")
    torch.save(model.state_dict(), folder / "weights.pt")
    return folder
