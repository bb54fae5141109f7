import subprocess
import sys
from importlib import metadata

import pytest
from foretell.testing.outputs import loaded_by

HEAVY = ["torch", "lightning", "safetensors", "numpy.testing", "zarr", "dask"]


@pytest.mark.parametrize("module", ["foretell_torch", "foretell_torch.plugin"])
def test_importing_the_package_imports_no_framework(module):
    assert loaded_by(module, HEAVY) == []


def test_public_names_are_found_when_they_are_used():
    import foretell_torch

    assert set(foretell_torch.__all__) <= set(dir(foretell_torch))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = foretell_torch.nothing
    code = "from foretell_torch import batch_collator; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_is_registered_like_anyones_plugin():
    (entry,) = metadata.entry_points(group="foretell", name="torch")
    assert entry.value == "foretell_torch.plugin"


def test_a_missing_framework_names_the_extra(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from foretell_torch import frameworks\n"
        "from foretell.errors import LoadError\n"
        "try:\n    frameworks.torch()\n"
        "except LoadError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'foretell[torch]'" in done.stdout
