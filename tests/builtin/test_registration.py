import subprocess
import sys

import pluggy
from foretell import builtin, hookspecs
from foretell.imports import module_file


def entries():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin)
    manager.check_pending()
    found = {}
    for section in ("sources", "predictors", "deployers", "writers", "previews"):
        lists = getattr(manager.hook, f"register_{section}")()
        found[section] = {entry.name: entry for entries in lists for entry in entries}
    return found


def test_every_built_in_is_registered():
    assert {section: sorted(found) for section, found in entries().items()} == {
        "sources": ["csv", "jsonl", "memory", "npy", "npz", "parquet", "zarr"],
        "predictors": ["callable"],
        "deployers": ["local"],
        "writers": ["jsonl", "parquet", "zarr"],
        "previews": ["classes", "embeddings", "image", "numbers", "table", "text"],
    }


def test_every_target_leads_to_a_file_and_has_a_summary():
    for found in entries().values():
        for entry in found.values():
            assert entry.summary
            file = module_file(entry.target, "/")
            assert file is not None
            assert file.suffix == ".py"


def test_listing_them_imports_nothing_heavy():
    script = (
        "import sys; from foretell import builtin; builtin.register_sources();"
        "builtin.register_predictors(); builtin.register_deployers(); builtin.register_writers();"
        "builtin.register_previews();"
        "heavy = {'numpy', 'zarr', 'dask', 'pyarrow', 'pydantic', 'torch'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
