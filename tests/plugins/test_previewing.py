"""Strangers' previews are asked first, and one that fails is switched off."""

import numpy as np
from foretell.hookspecs import hookimpl
from foretell.plugins.manager import load_plugins
from foretell.plugins.previewing import Previewer
from foretell.previews import BlockMeta, Image, Numbers, Text
from foretell.types import Entry

HERE = "tests_previews_of_strangers"


class Plugin:
    """Registers previews of this module's functions."""

    def __init__(self, *names):
        self.names = names

    @hookimpl
    def register_previews(self):
        return [Entry(name, name, f"{HERE}:{name.replace('-', '_')}") for name in self.names]


def previewer(monkeypatch, told, **functions):
    import sys
    import types

    module = types.ModuleType(HERE)
    for name, function in functions.items():
        setattr(module, name, function)
    monkeypatch.setitem(sys.modules, HERE, module)
    plugin = Plugin(*(name.replace("_", "-") for name in functions))
    plugins = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"}, [("strange", plugin)])
    return Previewer(plugins, told.append)


META = BlockMeta("y", "float32")
BLOCK = np.arange(4, dtype="f4")


def test_a_strangers_preview_comes_first(monkeypatch):
    told: list[str] = []

    def mine(meta, block, width, height):
        return Text(lines=(f"{meta.name} {block.shape} {width}x{height}",)) if width > 9 else None

    asked = previewer(monkeypatch, told, mine=mine)
    assert asked.ask(META, BLOCK, 10, 5) == Text(lines=("y (4,) 10x5",))
    assert isinstance(asked.ask(META, BLOCK, 9, 5), Numbers)
    assert told == []


def test_what_it_says_is_made_safe(monkeypatch):
    def evil(meta, block, width, height):
        return Text(lines=("\x1b[2Jx\n",), title="\u202e", warnings=("\x07",))

    found = previewer(monkeypatch, [], evil=evil).ask(META, BLOCK, 10, 5)
    assert found == Text(lines=(r"\x1b[2Jx\n",), title=r"\u202e", warnings=(r"\x07",))


def test_one_that_fails_is_told_of_once_and_not_asked_again(monkeypatch):
    told: list[str] = []
    calls = []

    def raises(meta, block, width, height):
        calls.append(1)
        raise ValueError("no \x1b")

    def rubbish(meta, block, width, height):
        return "a picture"

    def half(meta, block, width, height):
        return Image(levels=np.zeros((2, 2)), missing=np.zeros((2, 2), bool))

    asked = previewer(monkeypatch, told, raises=raises, rubbish=rubbish, half=half)
    for _ in range(3):
        assert isinstance(asked.ask(META, BLOCK, 40, 5), Numbers)
    assert told == [
        'the preview "raises" is switched off: ValueError: no \x1b',
        'the preview "rubbish" is switched off: TypeError: returned str, which is no preview',
        'the preview "half" is switched off: TypeError: returned an image of float64 (2, 2), '
        "not uint8 (h, w) or (h, w, 3)",
    ]
    assert len(calls) == 1


def test_nobody_can_change_the_block(monkeypatch):
    told: list[str] = []

    def writes(meta, block, width, height):
        block[0] = 9

    assert isinstance(previewer(monkeypatch, told, writes=writes).ask(META, BLOCK, 40, 5), Numbers)
    assert BLOCK[0] == 0
    assert "read-only" in told[0]
