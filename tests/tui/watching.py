"""Readers, views and decks over synthetic runs, with clocks that stand still."""

from foretell_tui.deck import Deck
from foretell_tui.desk import Desk
from foretell_tui.look import Look
from foretell_tui.reader import Reader
from foretell_tui.state import View, reduce
from synthetic_runs import T0

NAMES = (
    "fresh", "running", "done", "partial", "lost", "stale", "interrupted", "empty", "one", "ten",
    "planned", "middle", "big", "resumed",
)  # fmt: skip


class Clock:
    """Two clocks that stand still until told."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return 1000.0 + self.now

    def wall(self):
        return T0 + self.now


def reader_of(objects, clock=None, alive=None):
    clock = clock or Clock()
    return Reader(objects, monotonic=clock.monotonic, wall=clock.wall, alive=lambda head: alive)


def view_of(objects, looks=3, **options) -> View:
    return looked(reader_of(objects, **options), looks)


def looked(reader, looks=3) -> View:
    """The view after a few looks."""
    view = None
    for _ in range(looks):
        view = reduce(view, reader.look())
    assert view is not None
    return view


def deck_of(view, look=None, **options):
    return Deck(Desk(view, look or Look(), **options))


def framed(objects, screen, width, height, look=None, **options):
    """A frame, what the screen wants read before."""
    reader = reader_of(objects)
    view = looked(reader)
    deck = deck_of(view, look, screen=screen, **options)
    deck.lay_out(width, height)
    deck.desk.take(reduce(view, reader.look(deck.wants())))
    return deck, deck.frame(width, height)
