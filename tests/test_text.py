import re
import unicodedata

import pytest
from foretell.text import clip, duration, plural, size, visible, word
from hypothesis import given, settings
from hypothesis import strategies as st

ATTACKS = {
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "title, C1": "\x9d0;owned\x9c",
    "CSI, C1": "\x9b2J",
    "clear screen": "\x1b[2J\x1b[H",
    "hyperlink": "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "device status": "\x1b[6n\x1b[5n\x1b[c",
    "mouse and paste modes": "\x1b[?1000h\x1b[?2004h",
    "overwrite": "fine\rERROR",
    "backspace": "safe\x08\x08\x08\x08evil",
    "bell": "\x07",
    "form feed": "\x0c\x0b",
    "null": "a\x00b",
    "delete": "a\x7fb",
    "right to left": "\u202egpj.exe",
    "isolates": "\u2066\u2067\u2068x\u2069",
    "marks": "\u200e\u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufefff",
    "tags": "x\U000e0041\U000e007f",
    "variation selectors": "x\ufe0f\U000e0100",
    "fillers": "\u3164\u115f\uffa0\u2800",
    "line separators": "a\u2028b\u2029c\x85d",
    "lone surrogates": "\ud800x\udc80",
    "soft hyphen": "pass\u00adword",
    "interlinear": "\ufff9a\ufffab\ufffb",
    "unassigned": "\u0378\uffff\U0010ffff",
    "private use": "\ue000",
    "sixel": "\x1bPq#0;2;0;0;0\x1b\\",
    "device control": "\x90data\x9c",
    "charset": "\x1b(0\x0e\x0f",
    "rich markup": "[bold red]not[/]",
}
ESCAPED = re.compile(r"\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def harmless(text: str) -> bool:
    """Nothing in ``text`` can move a cursor, hide or reorder: judged without the code tested."""
    return not any(
        unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for char in text
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_escape_attacks_are_shown_not_sent(name):
    shown = visible(ATTACKS[name])
    assert harmless(shown)
    shown.encode("utf-8")


def test_what_is_shown():
    assert visible(ATTACKS["colour"]) == r"\x1b[31mred\x1b[0m"
    assert visible(ATTACKS["right to left"]) == r"\u202egpj.exe"
    assert visible(ATTACKS["lone surrogates"]) == r"\ud800x\udc80"
    assert visible(ATTACKS["zero width"]) == r"a\u200bb\u200cc\u200dd\u2060e\ufefff"
    assert visible(ATTACKS["tags"]) == r"x\U000e0041\U000e007f"
    assert visible("a\tb\nc\r") == r"a\tb\nc\r"
    assert visible("a\tb\nc", keep="\n") == "a\\tb\nc"


@pytest.mark.parametrize(
    "text",
    ["plain", "日本語　全角", "naïve café", "Ω ≈ 3 ✓ ━╸─", "🙂", "ไทย", "a\u0301", " \u00a0x"],
)
def test_honest_text_stays(text):
    assert visible(text) == text


ANY_TEXT = st.text(st.characters(codec=None), max_size=30)


@settings(max_examples=10_000)
@given(ANY_TEXT)
def test_any_text_becomes_harmless_and_loses_nothing(text):
    shown = visible(text)
    assert harmless(shown)
    assert visible(shown) == shown
    shown.encode("utf-8")
    kept = [char for char in text if harmless(char) and visible(char) == char]
    rest = iter(shown)
    assert all(char in rest for char in kept)


@settings(max_examples=1_000)
@given(ANY_TEXT, st.integers(1, 40))
def test_a_clipped_text_is_one_harmless_line(text, width):
    line = clip(text, width)
    assert len(line) <= width
    assert harmless(line)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (48.4, "48 s"),
        (59.7, "1m 00s"),
        (380, "6m 20s"),
        (3599.6, "1h 00m"),
        (20460, "5h 41m"),
        (273600, "3d 4h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_suggested_command_is_one_command():
    assert word("runs/tiles-1.zarr") == "runs/tiles-1.zarr"
    assert word("s3://lab/runs/a.zarr") == "s3://lab/runs/a.zarr"
    assert word("@last") == "@last"
    assert word("a b; rm -rf ~") == "'a b; rm -rf ~'"
    assert word("it's $(x)") == """'it'"'"'s $(x)'"""


def test_sizes_and_plurals():
    assert [size(n) for n in (0, 812, 4_190_000, 41_200_000, 2**40)] == [
        "0 B", "812 B", "4.19 MB", "41.2 MB", "1.10 TB",
    ]  # fmt: skip
    assert plural(1, "chunk") == "1 chunk"
    assert plural(1000, "chunk") == "1,000 chunks"
    assert plural(2, "batch", "batches") == "2 batches"
