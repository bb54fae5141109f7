"""What the dashboard looks like, kept as SVG: three sizes, dark, light and mono, a clock at rest.

``FORETELL_NEW_PICTURES=1`` writes them anew; look at them before you commit them.
"""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path

import foretell
import numpy as np
import pytest

pytest.importorskip("textual", reason="the dashboard needs foretell[tui]")

from foretell.cli.comparing import lines_of
from foretell.store.compare import compare
from foretell.store.open import open_objects
from foretell.store.sides import side_of
from foretell_tui.app import WatchApp
from foretell_tui.look import Look
from foretell_tui.panes.compare import Compare
from foretell_tui.panes.results import Preview, Results
from foretell_tui.panes.runs import Runs
from watching import looked, reader_of

PLACE = Path(__file__).parent / "pictures"
SIZES = [(80, 24), (120, 36), (160, 50)]
THEMES = ["dark", "light", "mono"]
LISTS = ["chunks", "workers", "failures", "log", "timeline"]
FRAMES = {"dark16": ("dark", True), "light16": ("light", True)}
"""Names of themes as they are on a terminal of sixteen colours."""
LAST = 4
"""The chunk in the results' pictures. Which one is done last is for the clock to say."""

CASES = [
    *(("overview", *size, theme) for size in SIZES for theme in THEMES),
    *(("overview", 80, 24, theme) for theme in FRAMES),
    *((screen, *size, "dark") for screen in LISTS for size in SIZES[:2]),
    *((screen, *size, "dark") for screen in ("results", "compare", "runs") for size in SIZES),
    *((screen, 120, 36, theme) for screen in ("results", "compare", "runs")
      for theme in THEMES[1:]),
]  # fmt: skip


def waves(rows):
    """What a model of the results' pictures predicts."""
    y, x = np.mgrid[:24, :48] / 8.0
    tiles = np.sin(x + rows[:, None, None]) * np.cos(y * (1 + rows[:, None, None] % 3))
    return {"tile": tiles.astype("f4"), "land": rows.astype("i8") % 4,
            "text": [f"tile {int(row)}: mostly water" for row in rows]}  # fmt: skip


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """A finished run with results, its sizes the same with every release of a compressor."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_CACHE_DIR", str(folder / "cache"))
        foretell.predict(
            waves, np.arange(60.0), str(folder / "run.zarr"), batch_size=4,
            schedule={"chunk": 12}, writer={"compression": 0},
        )  # fmt: skip
    return open_objects(str(folder / "run.zarr"))


def listed():
    """Runs as ``sdk runs --json`` has them."""
    row = {
        "run": "", "state": "done", "pulse": "ended", "percent": 100.0, "rows": 200_000,
        "rows_per_second": None, "average_rows_per_second": 1834.0, "unit": "rows",
        "age_seconds": 8000.0, "bytes": 812_000_000, "exit_code": 0, "problem": "",
    }  # fmt: skip
    return [
        row | {"run": "runs/tiles-eu-v3.zarr", "state": "running", "pulse": "beating",
               "percent": 61.9, "rows_per_second": 1811.0, "age_seconds": 2.0},
        row | {"run": "runs/tiles-eu-v2.zarr"},
        row | {"run": "runs/a-rather-long-name/of-a-folder/with-tiles-of-norway.zarr",
               "state": "partial", "percent": 99.9, "exit_code": 3},
        row | {"run": "runs/gone.zarr", "state": "running", "pulse": "lost", "percent": 12.0,
               "average_rows_per_second": None, "age_seconds": 90_000.0},
        row | {"run": "runs/new.zarr", "state": "planned", "percent": None, "bytes": None,
               "average_rows_per_second": None, "age_seconds": None},
        row | {"run": "s3://lab/broken.zarr", "state": "unknown", "percent": None, "bytes": None,
               "average_rows_per_second": None, "age_seconds": None,
               "problem": "its manifest is damaged"},
    ]  # fmt: skip


def app_of(runs, predicted, screen, theme):
    """The dashboard at one screen."""
    objects = predicted if screen == "results" else runs["running"].objects
    reader = reader_of(objects)
    reader.shown = "runs/tiles-eu-v3.zarr"
    looked(reader)
    follower = reader.follower
    follower.manifest = replace(follower.manifest, hash="sha256:7a1e")
    theme, sixteen = FRAMES.get(theme, (theme, False))

    def compared(a, b, values):
        found = compare(side_of(runs["done"].objects), side_of(runs["partial"].objects))
        return lambda width: lines_of(found, width)

    return WatchApp(
        reader, view=looked(reader), interval=0, theme=theme, sixteen=sixteen, screen=screen,
        look=Look(colour=theme != "mono"), find_runs=listed, compare=compared,
    )  # fmt: skip


def whole(app, screen):
    """Whether everything that is read for a screen has come."""
    panes, extra = app.deck.panes, app.desk.view.reading.extra
    preview, results, other = panes["preview"], panes["results"], panes["compare"]
    assert isinstance(preview, Preview)
    assert isinstance(results, Results)
    assert isinstance(other, Compare)
    if screen == "compare":
        return other.lines is not None
    if screen == "results":
        shown = preview.picture
        return results.contents is not None and shown is not None and shown.chunk == LAST
    if screen == "runs":
        rows = panes["runs"]
        assert isinstance(rows, Runs)
        return rows.rows is not None
    wanted = {"timeline": "stream", "chunks": "chunks"}.get(screen, "order")
    return wanted in extra and (preview.picture is not None or not preview.asked)


def picture(app, screen, width, height):
    """The screen as an SVG, without what depends on the version of the exporter."""

    async def main():
        async with app.run_test(size=(width, height)) as pilot:
            await pilot.pause()
            if screen == "compare":
                app.deck.panes["compare"].start("runs/tiles-eu-v2.zarr")
            if screen == "results":
                app.deck.panes["preview"].ask(LAST)
            for _ in range(500):
                if whole(app, screen):
                    break
                await pilot.pause(0.01)
            await pilot.pause(0.05)
            return app.export_screenshot(title="sdk watch")

    return re.sub(r"terminal-\d+", "terminal", asyncio.run(main()))


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_it_looks_as_it_did(runs, predicted, case):
    screen, width, height, theme = case
    svg = picture(app_of(runs, predicted, screen, theme), screen, width, height)
    path = PLACE / f"{screen}-{width}x{height}-{theme}.svg"
    if os.environ.get("FORETELL_NEW_PICTURES"):
        PLACE.mkdir(exist_ok=True)
        path.write_text(svg, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == svg, f"differs from {path.name}; see the docstring"
