"""Text from data, exceptions and names is shown and never obeyed, on every screen."""

import random

import pytest
from foretell_tui import line
from foretell_tui.keys import SCREEN_NAMES
from foretell_tui.look import Look
from foretell_tui.state import reduce
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import T0, make_run
from watching import deck_of, reader_of

ATTACKS = [
    "\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b]52;c;cm0gLXJm\x07", "\x9b31m", "\x90q\x9c",
    "\x1bP+q544e\x1b\\", "\r\x1b[Kdone", "\x00\x07\x08\x7f", "\u202egnp.exe", "\u2066a\u2069",
    "[bold red]markup[/]", "[link=file:///etc/passwd]x[/link]", "[@click=app.quit]x[/]",
    "a\u200bb\u2060c\ufeff", "\U000e0041\U000e0042", "e" + "\u0301" * 200, "\ud800", "\u2028\u2029",
    "wide 漢字 テスト", "👩‍👩‍👧‍👦", "\t\ttab", "%s%n{0}{x!r}", "\x1b[?1049l", "\u115f\u3164",
]  # fmt: skip

UNSAFE = {chr(code) for code in [*range(0x20), 0x7F, *range(0x80, 0xA0)]}
UNSAFE |= set("\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067")
UNSAFE |= set("\u2068\u2069\ufeff\u061c")


@settings(max_examples=500)
@given(st.text(min_size=0, max_size=60), st.integers(0, 70))
def test_a_line_is_safe_and_as_wide_as_it_says(text, width):
    shown = line.fit([(text, "")], width)
    out = line.plain(shown)
    assert line.width_of(out) == width
    assert not UNSAFE & set(out)
    assert line.width_of(line.cut(text, width)) <= width
    assert line.width_of(line.cut_left(text, width)) <= width
    assert all(line.width_of(part) <= max(2, width) for part in line.wrap(text, max(2, width)))


def test_ten_thousand_random_texts_are_shown_and_never_obeyed():
    chooser = random.Random(0)
    pools = ["".join(sorted(UNSAFE)), "".join(ATTACKS), "abc [/]\\{}%", "漢字あ한👩́"]
    for _ in range(10_000):
        text = "".join(
            chooser.choice(chooser.choice(pools))
            if chooser.random() < 0.8
            else chr(chooser.randrange(0x110000))
            for _ in range(chooser.randrange(1, 24))
        )
        out = line.plain(line.fit([(text, "bad")], 30))
        assert line.width_of(out) == 30, ascii(text)
        assert not UNSAFE & set(out), ascii(text)
        assert line.in_ascii(out).isascii()
        assert line.width_of(line.in_ascii(out)) == 30, ascii(text)


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_shown(attack):
    assert not UNSAFE & set(line.plain(line.fit([(attack, "bad")], 40)))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run whose every text is an attack."""
    text = " ".join(ATTACKS[:16])
    run = make_run(tmp_path_factory.mktemp("h") / "run", 100, url="runs/\x1b]0;x\x07\u202e.zarr")
    run.done(range(50))
    for number, attack in enumerate(ATTACKS):
        if "\ud800" not in attack:
            run.failed(50 + number, kind=f"Kind{attack}", message=attack + text)
        run.log.add(T0 - number, "warning" + attack[:2], attack[:4], attack.replace("\ud800", ""))
    run.running([99])
    run.samples(w0={"host": ATTACKS[0], "job": ATTACKS[1], "deployment": {ATTACKS[2]: ATTACKS[8]},
                    "chunks": [[99, 1, ATTACKS[3], 1.0]]})  # fmt: skip
    run.write_head(host=ATTACKS[0], unit="r\x1b[2Js", message=ATTACKS[1], reason=ATTACKS[8])
    return run


@pytest.mark.parametrize("screen", [*SCREEN_NAMES, "help"])
@pytest.mark.parametrize("look", [Look(), Look(ascii=True, colour=False)])
def test_no_screen_lets_anything_through(hostile, screen, look):
    reader = reader_of(hostile.objects)
    view = None
    for _ in range(4):
        view = reduce(view, reader.look())
    for width, height in ((80, 24), (120, 36), (160, 50), (62, 16), (20, 4)):
        deck = deck_of(view, look, screen=screen)
        deck.lay_out(width, height)
        deck.desk.take(reduce(view, reader.look(deck.wants())))
        for shown in deck.frame(width, height):
            out = line.plain(shown)
            assert not UNSAFE & set(out), out
            assert line.width_of(out) == width
