"""The dashboard under Textual's pilot: keys, mouse, palette, a store that hangs, resizing."""

import threading

import pytest

pytest.importorskip("textual", reason="the dashboard needs foretell[tui]")

from foretell.errors import ConfigError, StorageError, StoreError
from foretell_tui.host import Host
from foretell_tui.keys import ACTIONS, bound
from foretell_tui.line import plain
from foretell_tui.look import Look
from foretell_tui.prompts import TextPrompt
from foretell_tui.readonly import ReadOnly
from piloting import app_of, drive, settle, text_of
from synthetic_runs import make_run
from textual.command import CommandPalette
from textual.widgets import Input


def test_number_keys_show_the_screens(runs):
    app = app_of(runs["running"].objects)

    async def story(pilot):
        for number, name in enumerate(
            ("overview", "chunks", "workers", "failures", "results", "log", "timeline"), start=1
        ):
            await pilot.press(str(number))
            assert app.desk.screen == name
        await settle(pilot, "1 column =")
        await pilot.press("2")
        await settle(pilot, "Chunks 2,000")
        await pilot.press("escape", "escape", "escape")
        assert app.desk.screen == "log" or app.desk.screen == "failures" or app.desk.screen
        await pilot.press("?")
        assert "Everywhere" in text_of(app)
        await pilot.press("?")
        assert "Everywhere" not in text_of(app)
        await pilot.press("q")

    drive(app, story)
    assert app.return_code == 0


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_key_does_something(runs, action, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    app = app_of(runs["running"].objects, control=True)
    screens = {
        "filter": "chunks", "sort": "workers", "group": "workers", "view_as": "timeline",
        "follow": "log", "pager": "failures", "previous_chunk": "chunks", "next_chunk": "chunks",
        "copy": "failures", "page_up": "log", "page_down": "log", "up": "log", "home": "log",
        "left": "timeline", "right": "timeline",
    }  # fmt: skip
    heard: list[str] = []

    async def story(pilot):
        app.deck.show(screens.get(action.name, "overview"))
        if action.name.startswith(("previous_chunk", "next_chunk")):
            app.desk.chunk = 50
        await pilot.pause()
        app.act("zoom_in") if action.name == "zoom_out" else None
        app.deck.focus = app.deck._focusable()[0]
        app.deeds.say = heard.append
        pressed, before = [], text_of(app)
        inner_press, inner_do = app.deck.press, app.deeds.do

        def press(name):
            pressed.append(inner_press(name))
            return pressed[-1]

        def do(name):
            pressed.append(inner_do(name))
            return pressed[-1]

        app.deck.press, app.deeds.do = press, do
        await pilot.press(action.keys[0])
        await pilot.pause()
        if action.name == "palette":
            assert isinstance(app.screen, CommandPalette)
            return
        assert pressed, before
        assert pressed[-1] is not False, action.name

    drive(app, story)
    assert "nothing in front answers" not in " ".join(heard)


def test_every_key_is_in_the_help_and_in_the_palette(runs):
    app = app_of(runs["running"].objects, control=True)

    async def story(pilot):
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert titles == {action.name.replace("_", " ") for action in ACTIONS}
        from foretell_tui.keys import SCREEN_NAMES

        told = ""
        for name in SCREEN_NAMES:
            app.deck.show(name)
            app.deck.help()
            told += "\n".join(map(plain, app.deck.panes["help"].lines(100)))
            app.deck.back()
        for action in ACTIONS:
            assert action.text in told, action.name

    drive(app, story)


def test_no_key_does_two_things():
    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))


def test_keys_can_be_changed():
    actions = {action.name: action for action in bound({"quit": "ctrl+q", "zoom_in": ["z", "i"]})}
    assert actions["quit"].keys == ("ctrl+q",)
    assert actions["zoom_in"].keys == ("z", "i")
    with pytest.raises(ConfigError, match='no action "quti"'):
        bound({"quti": "x"})
    with pytest.raises(ConfigError, match="would do two things"):
        bound({"quit": "z"})
    with pytest.raises(ConfigError, match="text or a list"):
        bound({"quit": 7})


def test_a_changed_key_works(runs):
    app = app_of(runs["running"].objects, actions=bound({"help": "H"}))

    async def story(pilot):
        await pilot.press("H")
        assert "Everywhere" in text_of(app)

    drive(app, story)


def test_the_mouse_goes_where_keys_go(runs):
    app = app_of(runs["running"].objects)

    async def story(pilot):
        tabs = text_of(app).splitlines()[1]
        await pilot.click(Host, offset=(tabs.index("6 Log") + 1, 1))
        assert app.desk.screen == "log"
        await pilot.press("1")
        place = next(p for p in app.deck.places if p.pane == "map")
        await pilot.click(Host, offset=(place.x + 20, place.y + 5))
        assert app.deck.focus == "map"
        assert app.desk.chunk > 0

    drive(app, story)


def test_go_to_and_filters(runs):
    app = app_of(runs["running"].objects)

    async def story(pilot):
        await pilot.press("2")
        await settle(pilot, "Chunks 2,000")
        await pilot.press(":")
        assert isinstance(app.screen, TextPrompt)
        app.screen.query_one(Input).value = "row 120,050"
        await pilot.press("enter")
        assert app.desk.chunk == 1200
        await settle(pilot, "Chunk 1,200")
        app.deck.focus_on("chunks")
        await pilot.press("/")
        app.screen.query_one(Input).value = "failed"
        await pilot.press("enter")
        await settle(pilot, "Chunks 4  / failed")
        await pilot.press(":", "escape")
        assert app.desk.screen == "chunks"

    drive(app, story)


class Hanging(ReadOnly):
    """A store whose reads take as long as a test wants."""

    def __init__(self, inner):
        super().__init__(inner)
        self.gate = threading.Event()
        self.error = None

    def get_if_changed(self, key, known):
        self.gate.wait(30)
        if self.error is not None:
            raise self.error
        return super().get_if_changed(key, known)


ANSWERS = {
    "the object store refuses access": StoreError(
        "the object store refuses access", slug="store-denied"
    ),
    "the bucket does not exist": StorageError("the bucket does not exist", slug="store-vanished"),
    "the object store failed": StorageError("the object store failed"),
}
"""What the screen says of a store that answers 403, 404 or 500, and how its backend raises that."""


def test_keys_answer_while_a_read_hangs_and_after_it_failed(tmp_path):
    run = make_run(tmp_path / "r", 100)
    run.done(range(50))
    run.write_head()
    app = app_of(run.objects)
    hanging = Hanging(run.objects)
    app.reader.follower.objects = hanging

    async def keys(pilot):
        painted = app.host.frames
        for key in ("4", "1", "?", "escape", "tab", "z"):
            await pilot.press(key)
        assert app.host.frames >= painted + 6
        assert "done 50" in text_of(app)

    async def story(pilot):
        app.poller.look_now()
        await pilot.pause(0.05)
        await keys(pilot)
        assert not hanging.gate.is_set()
        for said, hanging.error in ANSWERS.items():
            hanging.gate.set()
            await settle(pilot, said)
            await keys(pilot)
            app.poller.look_now()
        hanging.error = None
        await pilot.press("r")
        await settle(pilot, "read ")
        assert not any(said in text_of(app) for said in ANSWERS)

    drive(app, story)


def test_a_storm_of_sizes(runs):
    app = app_of(runs["big"].objects)

    async def story(pilot):
        for width, height in [(80, 24), (200, 60), (20, 3), (61, 16), (120, 36), (79, 23)] * 3:
            await pilot.resize_terminal(width, height)
            for _ in range(500):
                if len(app.host._lines) == height:
                    break
                await pilot.pause(0.01)
            assert len(app.host._lines) == height
        assert "RUNNING" in text_of(app)

    drive(app, story)


def test_a_run_that_moves_is_shown_moving(tmp_path):
    run = make_run(tmp_path / "r", 200)
    run.write_head()
    app = app_of(run.objects, interval=0.25)

    async def story(pilot):
        run.done(range(120))
        run.write_head()
        await settle(pilot, "done 120")
        run.write_head(epoch=2, pid=99)
        await settle(pilot, "session 2")

    drive(app, story)


def test_other_runs_can_be_gone_to(runs, tmp_path):
    rows = [
        {"run": "other.zarr", "state": "done", "pulse": "ended", "percent": 100.0, "rows": 5,
         "rows_per_second": None, "average_rows_per_second": 812.0, "unit": "rows",
         "age_seconds": 90.0, "bytes": 4096, "exit_code": 0, "problem": ""},
    ]  # fmt: skip
    app = app_of(
        runs["running"].objects,
        find_runs=lambda: rows,
        open_run=lambda run: runs["done"].objects,
    )

    async def story(pilot):
        await pilot.press("9")
        await settle(pilot, "other.zarr")
        assert "812 rows/s" in text_of(app)
        await pilot.press("enter")
        await settle(pilot, "DONE")
        assert app.desk.screen == "overview"

    drive(app, story)


def test_the_light_is_off_with_ascii(runs):
    app = app_of(runs["running"].objects, look=Look(ascii=True, colour=False), theme="mono")

    async def story(pilot):
        assert text_of(app).isascii()

    drive(app, story, size=(80, 24))
