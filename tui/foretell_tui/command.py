"""``sdk watch``: the dashboard of a run."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from foretell.cli import options
from foretell.cli.session import Session
from foretell.errors import ForetellError, UsageError

if TYPE_CHECKING:
    from foretell_tui.deck import Deck
    from foretell_tui.look import Look
    from foretell_tui.reader import Reader
    from foretell_tui.state import View

THEMES = ("auto", "dark", "light", "mono")


class SizeType(click.ParamType[tuple[int, int]]):
    """``120x36``."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        width, _, height = str(value).partition("x")
        if not (width.isdigit() and height.isdigit()):
            self.fail("a size is columns x lines, as 120x36", param, ctx)
        return min(1000, max(20, int(width))), min(1000, max(1, int(height)))


@click.command("watch")
@click.argument("run", metavar="[RUN]", required=False, default="@last", type=options.RunType())
@click.option("--once", is_flag=True, help="Print one frame as text and exit.")
@click.option("--screen", default="overview", show_default=True,
              type=click.Choice(["overview", "chunks", "workers", "failures", "results", "log",
                                 "timeline", "compare", "runs", "help"]),
              help="Which screen to begin with.")  # fmt: skip
@click.option("--size", type=SizeType(), metavar="WxH", help="Size of the frame of --once.")
@click.option("--inline", is_flag=True, help="A few lines under the prompt instead of all of it.")
@click.option("--web", is_flag=True, help="Serve it to a browser on this machine.")
@click.option("--port", default=8000, show_default=True, help="Port of --web.")
@click.option("--insecure-listen", metavar="HOST",
              help="With --web: listen on another address, for whoever reaches it.")  # fmt: skip
@click.option("--ascii", "ascii_only", is_flag=True, help="Plain ASCII signs only.")
@click.option("--theme", type=click.Choice(THEMES), default="auto", show_default=True,
              help="Colours.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(0, 3600), metavar="SECONDS",
              help="Seconds between looks; 0 looks only when r is pressed. "
              "1 by default, 5 for a store on s3.")  # fmt: skip
@click.option("--control", is_flag=True, help="Allow R and C: sdk retry and sdk cancel.")
@options.common
@click.pass_obj
def command(session: Session, /, run: str, **chosen: Any) -> int:
    """Watch a run: progress, chunk map, workers, failures, log, timeline.

    Reads the store and nothing else, so it works on a live, a finished and a crashed run, here or
    on s3, and cannot disturb one. RUN is @last by default.
    """
    from foretell_tui.look import Look
    from foretell_tui.reader import Reader

    look = Look(chosen["ascii_only"] or not _unicode(), colour=_theme(chosen["theme"]) != "mono")
    if chosen["web"]:
        return _web(session, run, chosen)
    reader = Reader(_open(run))
    if session.json:
        raise UsageError("sdk watch has no document", tries=[("sdk status RUN --json", "has one")])
    if chosen["once"]:
        return _once(reader, look, chosen)
    return _app(session, reader, look, chosen)


def _open(run: str) -> Any:
    from foretell.cli.parts import open_store

    return open_store(run)


def _once(reader: Reader, look: Look, chosen: dict[str, Any]) -> int:
    from foretell.cli.output import raw

    from foretell_tui.deck import Deck, text_of
    from foretell_tui.desk import Desk
    from foretell_tui.look import Look

    view = settled(reader)
    desk = Desk(view, Look(look.ascii, colour=False), control=chosen["control"], once=True)
    deck = Deck(desk)
    desk.screen = chosen["screen"]
    width, height = chosen["size"] or shutil.get_terminal_size((120, 36))
    deck.lay_out(width, height)
    desk.take(_derived(reader, view, deck.wants()))
    _fill(deck, reader, chosen["screen"])
    raw(text_of(deck.frame(width, height)))
    return 0


def _fill(deck: Deck, reader: Reader, screen: str) -> None:
    """What the dashboard reads when a screen comes to the front, read now."""
    from foretell_tui.panes.results import Preview, Results
    from foretell_tui.panes.runs import Runs

    runs, results, preview = (deck.panes[name] for name in ("runs", "results", "preview"))
    assert isinstance(runs, Runs)
    assert isinstance(results, Results)
    assert isinstance(preview, Preview)
    if screen == "runs":
        runs.rows = list(found_runs())
    if screen == "results":
        try:
            results.show(reader.pictures.contents())
        except ForetellError as error:
            results.problem = error.message
        else:
            preview.show(reader.pictures.picture(preview.wanted()))


def settled(reader: Reader) -> View:
    """A view of the run that does not hang on two clocks agreeing, as ``sdk status`` has it."""
    import time

    from foretell_tui.state import reduce

    view = reduce(None, reader.look())
    view = reduce(view, reader.look())
    waited = 0.0
    while view.word in ("STALE", "LOST") and view.reading.alive is not False and view.head:
        if waited >= 3 * view.head.interval:
            break
        step = min(0.5, view.head.interval / 2)
        time.sleep(step)
        waited += step
        view = reduce(view, reader.look())
    return view


def _derived(reader: Reader, view: View, wants: Any) -> View:
    from foretell_tui.state import reduce

    return reduce(view, reader.derive(wants))


def _app(session: Session, reader: Reader, look: Look, chosen: dict[str, Any]) -> int:
    from foretell.errors import LoadError

    from foretell_tui.first import first_view
    from foretell_tui.settings import read_settings
    from foretell_tui.web import served

    if not (served() or (sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty()))):
        raise UsageError(
            "the dashboard needs a terminal",
            tries=[
                ("--once", "prints one frame as text"),
                ("sdk status RUN --json", "for scripts"),
            ],
        )
    settings = read_settings()
    if not chosen["control"]:
        # On a busy machine the run goes first; what --control starts must not inherit this.
        with contextlib.suppress(OSError):
            os.nice(10)
    opening = first_view(reader)
    try:
        from foretell_tui.app import WatchApp
        from foretell_tui.terminal import sixteen_colours
    except ImportError as error:
        raise LoadError(
            "the dashboard needs Textual",
            facts=[("missing", str(error))],
            tries=[("pip install 'foretell[tui]'", ""), ("--once", "works without it")],
            slug="extra-missing",
        ) from error
    sixteen = sixteen_colours()
    app = WatchApp(
        reader,
        view=opening.wait(),
        look=replace(look, shaded=not sixteen),
        actions=settings.actions,
        theme=_theme(chosen["theme"]),
        sixteen=sixteen,
        interval=chosen["interval"],
        control=chosen["control"],
        screen=chosen["screen"],
        find_runs=found_runs,
        open_run=_open,
        compare=compared,
        inline=chosen["inline"],
    )
    code = app.run(inline=chosen["inline"], inline_no_clear=True, mouse=not chosen["inline"])
    if app.error is not None:
        raise app.error
    for line in app.farewell():
        session.messages.line(line)
    return int(code or 0)


def _web(session: Session, run: str, chosen: dict[str, Any]) -> int:
    from foretell_tui.web import serve

    return serve(session.messages.line, run, chosen)


def found_runs() -> list[dict[str, Any]]:
    """The runs below this folder, then those started last."""
    from foretell.cli.commands.runs import find_runs, row_of
    from foretell.store.recent import recent_runs

    places: dict[str, str] = {}
    for place in [*sorted(find_runs(".")), *recent_runs()]:
        places.setdefault(place if "://" in place else os.path.abspath(place), place)
    return [row for row in map(row_of, places.values()) if row is not None]


def compared(a: str, b: str, values: int | None) -> Callable[[int], list[str]]:
    """What ``sdk compare`` says of two runs, in so many columns."""
    from foretell.cli.comparing import lines_of
    from foretell.cli.parts import writer_of
    from foretell.store.compare import compare, with_values
    from foretell.store.sides import side_of

    comparison = compare(side_of(_open(a)), side_of(_open(b)))
    if values is not None:
        comparison = with_values(comparison, writer_of, values)
    return lambda width: lines_of(comparison, width)


def _unicode() -> bool:
    """Whether signs beyond ASCII may be used: the locale is not the plain one."""
    everything, kind, language = map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))
    # In the plain locale Python sets LC_CTYPE itself; what the terminal knows is in LANG then.
    named = everything or (language if kind == "C.UTF-8" and language else kind) or language
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return encoding.startswith("utf") and named not in ("C", "POSIX")


def _theme(chosen: str) -> str:
    """``dark``, ``light`` or ``mono``."""
    if chosen != "auto":
        return chosen
    # Textual leaves colours out where the variable is set, to nothing too.
    if "NO_COLOR" in os.environ or os.environ.get("TERM") in ("dumb", "vt100"):
        return "mono"
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return "light" if background in ("7", "15") else "dark"
