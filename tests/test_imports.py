import importlib
import sys
import textwrap

import pytest
from foretell.errors import ConfigError, LoadError
from foretell.imports import load_object, module_file


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_a_module_beside_the_job_is_found_without_touching_sys_path(tmp_path):
    put(tmp_path, "model.py", "def double(x):\n    return 2 * x\n")
    before = list(sys.path)
    assert load_object("model:double", tmp_path)(4) == 8
    assert sys.path == before
    assert "model" not in sys.modules


def test_it_is_not_taken_for_an_installed_module_of_the_same_name(tmp_path):
    put(tmp_path, "colorsys.py", "def mine():\n    return 'mine'\n")
    assert load_object("colorsys:mine", tmp_path)() == "mine"
    assert importlib.import_module("colorsys").__file__ != str(tmp_path / "colorsys.py")
    assert load_object("colorsys:rgb_to_hsv", tmp_path.parent)(0, 0, 0) == (0.0, 0.0, 0)


def test_two_jobs_with_modules_of_one_name_do_not_mix(tmp_path):
    for name in ("a", "b"):
        put(tmp_path / name, "helper.py", f"NAME = {name!r}\n")
        put(
            tmp_path / name,
            "model.py",
            """
            import helper
            def early():
                return helper.NAME
            def late():
                from helper import NAME
                return NAME
            """,
        )
    loaded = {name: load_object("model:early", tmp_path / name) for name in ("a", "b")}
    late = {name: load_object("model:late", tmp_path / name) for name in ("a", "b")}
    assert {name: function() for name, function in loaded.items()} == {"a": "a", "b": "b"}
    assert {name: function() for name, function in late.items()} == {"a": "a", "b": "b"}


def test_packages_and_relative_imports_beside_the_job_work(tmp_path):
    put(tmp_path, "net/__init__.py", "from net.parts import scale\n")
    put(tmp_path, "net/parts.py", "from .numbers import TWO\ndef scale(x):\n    return TWO * x\n")
    put(tmp_path, "net/numbers.py", "TWO = 2\n")
    put(
        tmp_path,
        "loose/tool.py",
        "import net.parts as parts\nimport net.numbers\nn = net.numbers\n",
    )
    assert load_object("net:scale", tmp_path)(3) == 6
    assert load_object("net.parts:scale", tmp_path)(3) == 6
    assert load_object("loose.tool:parts.scale", tmp_path) is load_object("net:scale", tmp_path)


def test_a_folder_of_data_does_not_hide_an_installed_package(tmp_path):
    put(tmp_path, "json/notes.txt", "not a package")
    put(tmp_path, "model.py", "import json\ndef dump(x):\n    return json.dumps(x)\n")
    assert load_object("model:dump", tmp_path)([1]) == "[1]"


def test_a_module_may_have_the_name_of_what_it_imports_elsewhere(tmp_path):
    put(tmp_path, "textwrap.py", "import re\nKIND = re.__name__\n")
    assert load_object("textwrap:KIND", tmp_path) == "re"


def test_a_file_can_be_named_by_path(tmp_path):
    put(tmp_path, "nets/my-model.py", "import side\nVALUE = side.VALUE + 1\n")
    put(tmp_path, "nets/side.py", "VALUE = 6\n")
    assert load_object("nets/my-model.py:VALUE", tmp_path) == 7
    assert load_object(f"{tmp_path}/nets/my-model.py:VALUE", "/") == 7


def test_an_edited_file_is_read_anew_by_the_next_load(tmp_path):
    put(tmp_path, "helper.py", "NUMBER = 1\n")
    put(tmp_path, "model.py", "import helper\ndef number():\n    return helper.NUMBER\n")
    first = load_object("model:number", tmp_path)
    assert load_object("model:number", tmp_path) is first
    put(tmp_path, "helper.py", "NUMBER = 2\n")
    assert load_object("model:number", tmp_path)() == 2
    assert first() == 1
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_neighbour_that_appears_later_is_found(tmp_path):
    put(tmp_path, "model.py", "import helper\ndef number():\n    return helper.NUMBER\n")
    with pytest.raises(LoadError, match="No module named 'helper'"):
        load_object("model:number", tmp_path)
    put(tmp_path, "helper.py", "NUMBER = 2\n")
    assert load_object("model:number", tmp_path)() == 2


def test_importing_what_is_loaded_already_looks_at_no_disk(tmp_path, monkeypatch):
    put(tmp_path, "model.py", "def late():\n    import json\n    return json\n")
    late = load_object("model:late", tmp_path)
    importlib.import_module("json")

    def looked(*_):
        raise AssertionError("an import of a loaded module looked at the disk")

    for name in ("stat", "is_file", "is_dir"):
        monkeypatch.setattr(f"foretell.workspaces.Path.{name}", looked)
    assert late() is sys.modules["json"]


def test_installed_modules_are_shared_with_the_rest_of_the_process(tmp_path):
    from foretell.types import Batch

    put(tmp_path, "model.py", "from foretell.types import Batch\n")
    assert load_object("model:Batch", tmp_path) is Batch
    assert load_object("foretell.types:Batch", tmp_path) is Batch


@pytest.mark.parametrize("text", ["model", "model:", ":build", "my model:build", "a..b:c", "a:b-c"])
def test_what_is_not_an_import_string_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match="is not an import string"):
        load_object(text, tmp_path)


def test_a_file_without_an_attribute_is_helped(tmp_path):
    put(tmp_path, "model.py", "")
    with pytest.raises(ConfigError) as caught:
        load_object("model.py", tmp_path)
    assert caught.value.tries == (("model.py:NAME", "NAME is a function or class of model.py"),)


def test_a_missing_attribute_names_the_file_and_near_misses(tmp_path):
    put(tmp_path, "unet.py", "import math\ndef build():\n    pass\ndef post():\n    pass\n")
    with pytest.raises(LoadError) as caught:
        load_object("unet:biuld", tmp_path)
    assert str(caught.value).splitlines() == [
        "error[load]: unet has no 'biuld'",
        "  import         unet:biuld",
        f"  file           {tmp_path}/unet.py",
        "  public names   build, post",
        "  try            unet:build",
    ]


def test_a_missing_module_names_where_it_was_looked_for(tmp_path):
    put(tmp_path, "unet.py", "def build():\n    pass\n")
    with pytest.raises(LoadError) as caught:
        load_object("uent:build", tmp_path)
    assert str(caught.value).splitlines() == [
        "error[load]: there is no module 'uent'",
        "  import      uent:build",
        f"  looked in   {tmp_path}, then the installed packages",
        "  try         unet:build",
    ]


def test_a_missing_file_names_the_path(tmp_path):
    put(tmp_path, "unet.py", "def build():\n    pass\n")
    with pytest.raises(LoadError) as caught:
        load_object("uent.py:build", tmp_path)
    assert f"{tmp_path}/uent.py" in str(caught.value)
    assert caught.value.tries == (("unet.py:build", ""),)


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("x = 1\nraise ValueError('no weights')\n", 2, "ValueError: no weights"),
        ("import not_there_at_all\n", 1, "No module named 'not_there_at_all'"),
        ("def f(:\n", 1, "SyntaxError"),
        ("x = 1\n\nraise SystemExit(3)\n", 3, "SystemExit: 3"),
    ],
)
def test_a_failing_import_names_file_line_and_cause(tmp_path, text, line, cause):
    path = put(tmp_path, "broken.py", text)
    with pytest.raises(LoadError) as caught:
        load_object("broken:build", tmp_path)
    facts = dict(caught.value.facts)
    assert facts["file"] == f"{path}:{line}"
    assert cause in facts["cause"]


def test_module_file_imports_nothing(tmp_path):
    put(tmp_path, "pkg/__init__.py", "raise RuntimeError('imported')\n")
    put(tmp_path, "pkg/deep/__init__.py", "raise RuntimeError('imported')\n")
    leaf = put(tmp_path, "pkg/deep/leaf.py", "raise RuntimeError('imported')\n")
    assert module_file("pkg.deep.leaf:x", tmp_path) == leaf
    assert module_file("pkg.deep:x", tmp_path) == leaf.with_name("__init__.py")


def test_module_file_of_installed_packages_imports_no_parent(tmp_path, monkeypatch):
    put(tmp_path, "site/outer/__init__.py", "raise RuntimeError('imported')\n")
    leaf = put(tmp_path, "site/outer/leaf.py", "")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert module_file("outer.leaf:x", tmp_path) == leaf
    assert "outer" not in sys.modules


def test_module_file_of_a_built_in_is_none(tmp_path):
    assert module_file("sys:path", tmp_path) is None
