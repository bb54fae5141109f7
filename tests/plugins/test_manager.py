import importlib
import os
import subprocess
import sys

import pytest
from foretell.errors import PluginError, UnknownPlugin
from foretell.plugins import load_plugins
from foretell.types import Entry

OTHER = """\
from foretell import Entry, hookimpl

@hookimpl
def register_sources():
    return [Entry("tiles", "Other tiles", "other_parts:Tiles")]
"""


def test_built_ins_come_through_the_same_hooks():
    plugins = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"})
    assert {"zarr", "npy", "jsonl", "parquet", "csv"} <= {e.name for e in plugins.sources()}
    assert "callable" in {entry.name for entry in plugins.predictors()}
    assert "local" in {entry.name for entry in plugins.deployers()}
    assert {"zarr", "parquet", "jsonl"} <= {entry.name for entry in plugins.writers()}
    assert [str(origin.name) for origin in plugins.origins()] == ["builtin"]
    assert plugins.broken() == []


def test_a_strangers_name_is_listed_without_importing_what_it_names(tiles):
    plugins = load_plugins({})
    assert Entry("tiles", "Tiles of a map", "tiles_parts:TileSource", "gdal") in plugins.sources()
    assert "tiles_parts" not in sys.modules


def test_the_selected_one_is_imported_and_brings_its_settings(tiles):
    plugins = load_plugins({})
    assert plugins.source("tiles").__name__ == "TileSource"
    assert "zoom" in plugins.resolve("source", "tiles").model_fields


@pytest.mark.parametrize("value", ["1", "yes"])
def test_plugins_can_be_switched_off(tiles, value):
    plugins = load_plugins({"FORETELL_DISABLE_PLUGINS": value})
    assert "tiles" not in {entry.name for entry in plugins.sources()}


@pytest.mark.parametrize("value", ["", "0"])
def test_and_stay_on_otherwise(tiles, value):
    plugins = load_plugins({"FORETELL_DISABLE_PLUGINS": value})
    assert "tiles" in {entry.name for entry in plugins.sources()}


def test_an_unknown_name_knows_the_registered_ones_and_a_near_miss():
    plugins = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"})
    with pytest.raises(UnknownPlugin) as caught:
        plugins.predictor("calable")
    assert str(caught.value) == (
        'error[plugin-unknown]: no predictor is called "calable"\n'
        "  known   callable\n"
        "  try     callable      the nearest known name"
    )
    assert caught.value.exit_code == 2
    with pytest.raises(UnknownPlugin) as caught:
        plugins.deployer("qqq")
    assert str(caught.value) == (
        'error[plugin-unknown]: no deployer is called "qqq"\n  known   local\n  try     sdk plugins'
    )


def test_two_claimants_are_refused_naming_both_and_only_when_selected(tiles):
    tiles.module("other_plugin", OTHER)
    tiles.install("foretell-other", "other = other_plugin", version="2.5")
    plugins = load_plugins({})
    assert plugins.predictor("callable")
    assert plugins.broken() == []
    with pytest.raises(PluginError) as caught:
        plugins.source("tiles")
    assert str(caught.value) == (
        'error[plugin-contested]: two plugins claim the source "tiles"\n'
        "  claimed by   foretell-other 2.5 (other_plugin)\n"
        "  claimed by   foretell-tiles 1.0 (tiles_plugin)\n"
        "  try          pip uninstall one of them\n"
        "               FORETELL_DISABLE_PLUGINS=1      built-ins only"
    )
    assert caught.value.exit_code == 4


def test_a_stranger_cannot_take_the_name_of_a_built_in(site):
    site.module("taker", OTHER.replace('"tiles"', '"zarr"'))
    site.install("foretell-taker", "taker = taker")
    with pytest.raises(PluginError, match="foretell-taker"):
        load_plugins({}).source("zarr")


BROKEN = {
    "raises": ("raise ValueError('bad start')\n", "ValueError: bad start"),
    "exits": ("raise SystemExit(3)\n", "SystemExit: 3"),
    "missing": ("import no_such_module_here\n", "ModuleNotFoundError: No module named"),
    "hook_raises": (
        "from foretell import hookimpl\n@hookimpl\ndef register_sources():\n    1 / 0\n",
        "register_sources raised ZeroDivisionError: division by zero",
    ),
    "rubbish": (
        "from foretell import hookimpl\n@hookimpl\ndef register_sources():\n    return [7]\n",
        "register_sources: returned int, not an Entry",
    ),
    "bad_name": (
        "from foretell import Entry, hookimpl\n@hookimpl\ndef register_sources():\n"
        "    return [Entry('A b', 's', 'm:x')]\n",
        "register_sources: 'A b' cannot be a name",
    ),
    "bad_target": (
        "from foretell import Entry, hookimpl\n@hookimpl\ndef register_sources():\n"
        "    return [Entry('ab', 's', 'os.system')]\n",
        "register_sources: 'os.system' is not an import string",
    ),
    "bad_signature": (
        "from foretell import hookimpl\n@hookimpl\ndef run_planned(wrong):\n    pass\n",
        "PluginValidationError: Plugin 'sick' for hook 'run_planned'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_a_line_and_hurts_nobody(tiles, name):
    text, reason = BROKEN[name]
    tiles.module("sick_plugin", text)
    tiles.install("foretell-sick", "sick = sick_plugin")
    plugins = load_plugins({})
    assert plugins.source("tiles")
    assert plugins.predictor("callable")
    [broken] = plugins.broken()
    assert broken.reason.startswith(reason)
    assert str(broken.origin) == "foretell-sick 1.0 (sick_plugin)"


def test_what_a_plugin_prints_does_not_reach_stdout(site, capsys):
    site.module("loud", "print('hello')\n")
    site.install("foretell-loud", "loud = loud")
    load_plugins({})
    assert capsys.readouterr() == ("", "hello\n")


def test_the_missing_extra_is_named(tiles):
    tiles.module("tiles_parts", "import no_such_gdal\n")
    with pytest.raises(PluginError) as caught:
        load_plugins({}).source("tiles")
    assert str(caught.value) == (
        'error[plugin-import]: the source "tiles" cannot be imported\n'
        "  plugin   foretell-tiles 1.0 (tiles_plugin)\n"
        "  target   tiles_parts:TileSource\n"
        "  reason   ModuleNotFoundError: No module named 'no_such_gdal'\n"
        "  try      pip install 'foretell-tiles[gdal]'      brings what it needs"
    )
    assert caught.value.exit_code == 4


def test_what_is_no_source_is_refused(tiles):
    tiles.module("tiles_parts", "TileSource = dict\n")
    with pytest.raises(PluginError) as caught:
        load_plugins({}).source("tiles")
    assert str(caught.value) == (
        'error[plugin-contract]: the source "tiles" is not a Source\n'
        "  plugin   foretell-tiles 1.0 (tiles_plugin)\n"
        "  target   tiles_parts:TileSource\n"
        "  got      dict"
    )


def test_one_module_named_by_two_entry_points_is_one_plugin(tiles):
    tiles.install("foretell-twice", "again = tiles_plugin")
    plugins = load_plugins({})
    assert [entry.name for entry in plugins.sources()].count("tiles") == 1
    assert plugins.broken() == []


def test_strangers_previews_come_before_built_in_ones(site):
    site.module(
        "seer",
        "from foretell import Entry, hookimpl\n@hookimpl\ndef register_previews():\n"
        "    return [Entry('map', 'A map', 'seer:preview')]\n"
        "def preview(meta, block, width, height):\n    return 'seen'\n",
    )
    site.install("foretell-seer", "seer = seer")
    plugins = load_plugins({})
    entry = plugins.previews()[0]
    assert entry.name == "map"
    assert plugins.preview(entry)(None, None, 1, 1) == "seen"


def test_a_plugin_may_specify_hooks_of_its_own(site):
    site.module(
        "target_hooks",
        "import pluggy\nspec = pluggy.HookspecMarker('foretell')\n@spec\ndef register_chips():\n"
        "    pass\n",
    )
    site.module(
        "target_plugin",
        "from foretell import hookimpl\n@hookimpl\ndef register_chips():\n    return ['chip']\n",
    )
    site.install("foretell-target", "target = target_plugin")
    plugins = load_plugins({})
    plugins.manager.add_hookspecs(importlib.import_module("target_hooks"))
    assert plugins.manager.hook.register_chips() == [["chip"]]


def test_listing_every_plugin_imports_nothing_heavy():
    script = (
        "import sys; from foretell.plugins import load_plugins\n"
        "p = load_plugins(); p.sources(); p.predictors(); p.deployers(); p.writers(); p.broken()\n"
        "heavy = {'numpy','zarr','dask','torch','jax','textual','pyarrow','pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "[]\n"
