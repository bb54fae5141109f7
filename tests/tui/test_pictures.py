"""What the dashboard looks like, kept as SVG: three sizes, dark, light and mono, a clock at rest.

``FORETELL_NEW_PICTURES=1`` writes them anew; look at them before you commit them.
"""

import asyncio
import os
import re
from pathlib import Path

import pytest

pytest.importorskip("textual", reason="the dashboard needs foretell[tui]")

from foretell_tui.app import WatchApp
from foretell_tui.look import Look
from foretell_tui.panes.results import Preview
from watching import looked, reader_of

PLACE = Path(__file__).parent / "pictures"
SIZES = [(80, 24), (120, 36), (160, 50)]
OTHERS = ["chunks", "workers", "failures", "log", "timeline"]


def picture(objects, screen, width, height, theme):
    """The screen as an SVG, without what depends on fonts and the version of the exporter."""
    reader = reader_of(objects)
    view = looked(reader)
    app = WatchApp(
        reader, view=view, interval=0, look=Look(colour=theme != "mono"), theme=theme, screen=screen
    )

    async def main():
        async with app.run_test(size=(width, height)) as pilot:
            await pilot.pause()
            for _ in range(200):
                if {"timeline": "stream", "chunks": "chunks"}.get(screen, "order") in (
                    app.desk.view.reading.extra
                ):
                    break
                await pilot.pause(0.01)
            preview = app.deck.panes["preview"]
            assert isinstance(preview, Preview)
            for _ in range(500):
                if preview.picture is not None or not preview.asked:
                    break
                await pilot.pause(0.01)
            await pilot.pause(0.05)
            return app.export_screenshot(title="sdk watch")

    svg = asyncio.run(main())
    return re.sub(r"terminal-\d+", "terminal", svg)


CASES = [
    *(("overview", *size, theme) for size in SIZES for theme in ("dark", "light", "mono")),
    *((screen, 120, 36, "dark") for screen in OTHERS),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_it_looks_as_it_did(runs, case):
    screen, width, height, theme = case
    svg = picture(runs["running"].objects, screen, width, height, theme)
    path = PLACE / f"{screen}-{width}x{height}-{theme}.svg"
    if os.environ.get("FORETELL_NEW_PICTURES"):
        PLACE.mkdir(exist_ok=True)
        path.write_text(svg, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == svg, f"differs from {path.name}; see the docstring"
