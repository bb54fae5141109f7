"""When only the clock goes on, only what tells the time is painted."""

from dataclasses import replace

from foretell_tui.line import plain
from foretell_tui.look import Look
from foretell_tui.state import reduce
from watching import deck_of, view_of


def test_a_tick_paints_clocks_and_leaves_the_rest(runs):
    deck = deck_of(view_of(runs["running"].objects), Look(ascii=True, colour=False))
    before = list(map(plain, deck.frame(120, 36)))
    map_painted = []
    body = deck.panes["map"].body

    def seen(width, height):
        map_painted.append((width, height))
        return body(width, height)

    deck.panes["map"].body = seen
    reading = replace(
        deck.desk.view.reading,
        monotonic=deck.desk.view.reading.monotonic + 5,
        wall=deck.desk.view.reading.wall + 5,
        changed=None,
    )
    deck.desk.take(reduce(deck.desk.view, reading))
    after = list(map(plain, deck.frame(120, 36, ticked=True)))
    assert map_painted == []
    assert "beat 2s" in before[0]
    assert "beat 7s" in after[0]
    assert after[1:-2] == before[1:-2]
    deck.frame(120, 36)
    assert len(map_painted) == 1


def test_another_size_is_painted_whole(runs):
    deck = deck_of(view_of(runs["running"].objects))
    deck.frame(120, 36)
    lines = deck.frame(80, 24, ticked=True)
    assert len(lines) == 24
    assert lines == deck.frame(80, 24)
