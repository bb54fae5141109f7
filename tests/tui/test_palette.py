"""Colours: what the map shows by colour alone stays apart, in every theme and with few colours."""

import pytest
from foretell_tui.palette import Palette
from rich.color import ColorSystem

BY_COLOUR_ALONE = ("pending", "running", "done", "partly", "partly-more", "partly-most")
"""States whose half blocks have no sign of their own."""

ROLES = ("good", "warn", "bad", "info", "dim", "title", "key", "tab", "id", "focus", "curve")


def number(colour, system):
    assert colour is not None
    return colour.downgrade(system).number


def colour(palette, role, system):
    return number(palette.style(role).color, system)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("sixteen", [False, True])
def test_states_keep_apart(theme, sixteen):
    palette = Palette(theme, sixteen=sixteen)
    system = ColorSystem.STANDARD if sixteen else ColorSystem.EIGHT_BIT
    shown = {state: colour(palette, f"state-{state}", system) for state in BY_COLOUR_ALONE}
    assert len(set(shown.values())) == len(shown), shown


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_written_in_the_colour_of_the_background(theme):
    palette = Palette(theme, sixteen=True)
    behind = number(palette.style(palette.background).color, ColorSystem.STANDARD)
    for role in ROLES:
        assert colour(palette, role, ColorSystem.STANDARD) != behind, role


def test_without_colours_there_are_none():
    assert Palette("mono", sixteen=True).style("state-failed").color is None
