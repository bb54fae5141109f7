"""What the dashboard does beside showing: copying commands, running them, saving lists."""

import json

import pytest

pytest.importorskip("textual", reason="the dashboard needs foretell[tui]")

from foretell_tui.prompts import Confirm, TextPrompt
from piloting import app_of, drive
from textual.widgets import Input


def test_commands_are_copied_and_run_only_with_control_after_asking(runs, monkeypatch):
    started = []
    monkeypatch.setattr("foretell_tui.deeds.start", lambda name, run: started.append((name, run)))
    app = app_of(runs["running"].objects)
    copied: list[str] = []

    async def story(pilot):
        app.copy_to_clipboard = copied.append
        app.deck.focus_on("brief-failures")
        await pilot.press("c")
        await pilot.press("C")
        assert not isinstance(app.screen, Confirm)

    drive(app, story)
    assert copied == ["sdk retry runs/tiles-eu-v3.zarr --kind RuntimeError"]
    assert started == []
    app = app_of(runs["running"].objects, control=True)

    async def asked(pilot):
        await pilot.press("C")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        assert started == []
        await pilot.press("C", "y")
        await pilot.pause()

    drive(app, asked)
    assert started == [("cancel", "runs/tiles-eu-v3.zarr")]


@pytest.mark.parametrize(
    ("name", "pane", "command"),
    [
        ("lost", "map", "sdk resume runs/tiles-eu-v3.zarr"),
        ("lost", "brief-failures", "sdk resume runs/tiles-eu-v3.zarr"),
        ("partial", "map", "sdk failures runs/tiles-eu-v3.zarr"),
        ("partial", "brief-failures", "sdk retry runs/tiles-eu-v3.zarr --kind FileNotFoundError"),
    ],
)
def test_c_copies_the_command_that_is_offered(runs, name, pane, command):
    app = app_of(runs[name].objects)
    copied: list[str] = []

    async def story(pilot):
        app.copy_to_clipboard = copied.append
        app.deck.focus_on(pane)
        await pilot.press("c")

    drive(app, story)
    assert copied == [command]


def test_lists_are_saved_as_csv_and_screens_as_svg(runs, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    app = app_of(runs["running"].objects)

    async def story(pilot):
        await pilot.press("x")
        await pilot.press("4", "x")
        assert isinstance(app.screen, TextPrompt)
        await pilot.press("enter")
        await pilot.press("x")
        app.screen.query_one(Input).value = "json"
        await pilot.press("enter")

    drive(app, story)
    assert len(list(tmp_path.glob("watch-overview-*.svg"))) == 1
    (table,) = tmp_path.glob("watch-failures-*.csv")
    assert table.read_text().startswith("kind,message,count,")
    (document,) = tmp_path.glob("watch-failures-*.json")
    assert [group["count"] for group in json.loads(document.read_text())] == [3, 1]
