"""Reads a little of a run's results, when somebody asks to see them.

Never on the way of a look: what is here is asked for by a key, reads at most one chunk or a sample
of it, and needs the checksums that the dashboard otherwise leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foretell.errors import ForetellError
from foretell.redact import redact_url
from foretell.store.objects import ObjectStore

if TYPE_CHECKING:
    from foretell.plugins.manager import Plugins
    from foretell.plugins.previewing import Previewer
    from foretell.previews import Preview
    from foretell.store.contents import Contents
    from foretell.store.peek import Peek


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which picture.

    Attributes:
        name: Of the output; empty for the first that the model made.
        chunk: Chunk, None for the one finished last.
        step: 1 for the done chunk after ``chunk``, -1 for the one before, 0 for itself.
        view: One of ``foretell.previews.VIEWS``.
        index: Which row, channel or slice, where there is a choice.
        width, height: Cells there are.
    """

    name: str = ""
    chunk: int | None = None
    step: int = 0
    view: str = "auto"
    index: int = 0
    width: int = 60
    height: int = 12


@dataclass(frozen=True, slots=True)
class Picture:
    """What was asked for.

    Attributes:
        wanted: What was.
        name, chunk: Of the output and the chunk it is of; -1 where no chunk is done.
        preview: None where there is none to show; ``note`` says why.
        note: What was left out, or what is wrong, one line.
    """

    wanted: Wanted
    name: str = ""
    chunk: int = -1
    preview: Preview | None = None
    note: str = ""


class Pictures:
    """Results of one run in small.

    Args:
        objects: The run store.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._peek: Peek | None = None
        self._previewer: Previewer | None = None
        self.notes: list[str] = []

    def contents(self) -> tuple[Contents, Callable[[str], list[str]]]:
        """What the store holds, and the ways to open one output by its name.

        Raises:
            StoreError: it cannot be read, or its writer's plugin is not there.
        """
        from foretell.store.contents import contents_of
        from foretell.store.open_in import openings

        peek = self._opened()
        peek.snapshot.refresh()
        contents = contents_of(peek.snapshot, self._objects, peek.writer)
        url = redact_url(self._objects.url)
        arrays = {array.name: array for array in contents.arrays}

        def ways(name: str) -> list[str]:
            found = openings(contents, url, arrays[name])
            return [f"{way.tool}: {step}" for way in found for step in way.steps]

        return contents, ways

    def picture(self, wanted: Wanted) -> Picture:
        """The picture of a chunk; what is in the way of it is told in its note."""
        try:
            return self._picture(wanted)
        except ForetellError as error:
            return Picture(wanted, wanted.name, note=error.message)

    def _picture(self, wanted: Wanted) -> Picture:
        peek = self._opened()
        peek.snapshot.refresh()
        name = wanted.name or next(iter(peek.names))
        chunk = self._chunk(peek, wanted)
        if chunk is None:
            return Picture(wanted, name, note="no chunk is done yet")
        block = peek.block(name, chunk)
        before = peek.next_done(chunk, -1)
        previous = None if before is None else peek.block(name, before).values
        meta = block.meta(wanted.view, wanted.index, previous)
        assert self._previewer is not None
        self.notes.clear()
        shown = self._previewer.ask(meta, block.values, wanted.width, wanted.height)
        note = "; ".join(filter(None, (block.note, *self.notes)))
        return Picture(wanted, name, chunk, shown, note)

    @staticmethod
    def _chunk(peek: Peek, wanted: Wanted) -> int | None:
        if wanted.chunk is None:
            return peek.latest()
        if wanted.step:
            return peek.next_done(wanted.chunk, wanted.step) or wanted.chunk
        return wanted.chunk

    def _opened(self) -> Peek:
        if self._peek is None:
            from foretell.plugins.manager import load_plugins
            from foretell.plugins.previewing import Previewer
            from foretell.store.peek import Peek
            from foretell.store.snapshot import open_snapshot

            plugins: Plugins = load_plugins()
            snapshot = open_snapshot(self._objects)
            self._peek = Peek(snapshot, plugins.writer_of(snapshot))
            self._previewer = Previewer(plugins, self.notes.append)
        return self._peek
