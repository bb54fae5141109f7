"""The dashboard under Textual's pilot, with a clock that stands still."""

import asyncio
import time

from foretell_tui.app import WatchApp
from foretell_tui.line import plain
from foretell_tui.look import Look
from foretell_tui.state import reduce
from watching import Clock, reader_of


def app_of(objects, **options):
    clock = Clock()
    reader = reader_of(objects, clock)
    view = None
    for _ in range(3):
        view = reduce(view, reader.look())
    options.setdefault("interval", 0)
    options.setdefault("look", Look())
    return WatchApp(reader, view=view, **options)


def text_of(app):
    return "\n".join(map(plain, app.host._lines))


async def settle(pilot, wanted, seconds=10.0):
    """Wait until the screen shows something; the poller's thread has its own pace."""
    end = time.monotonic() + seconds
    while wanted not in text_of(pilot.app):
        assert time.monotonic() < end, text_of(pilot.app)
        await pilot.pause(0.02)


def drive(app, story, size=(120, 36)):
    async def main():
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await story(pilot)

    asyncio.run(main())
