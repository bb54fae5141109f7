"""Asks previews what a block of results looks like: strangers first, the first answer wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from foretell.plugins.discovery import quiet_stdout, reason_of
from foretell.previews.checks import checked
from foretell.previews.values import BlockMeta, Preview, Text

if TYPE_CHECKING:
    import numpy as np

    from foretell.plugins.manager import Plugins
    from foretell.types import Entry

Report = Callable[[str], None]
"""Is told, in one line, of a preview that failed and is not asked again."""


@dataclass(slots=True)
class _Asked:
    """A registered preview; imported when it is first asked."""

    entry: Entry
    function: Callable[..., Any] | None = None
    off: bool = False


class Previewer:
    """Every registered preview. Threads may not share one.

    Args:
        plugins: What is registered.
        report: Is told of a preview that cannot be imported, raises, or returns something else.
            It is not asked again.
    """

    def __init__(self, plugins: Plugins, report: Report | None = None) -> None:
        self._plugins = plugins
        self._report = report if report is not None else lambda text: None
        self._asked = [_Asked(entry) for entry in plugins.previews()]

    def ask(self, meta: BlockMeta, block: np.ndarray, width: int, height: int) -> Preview:
        """What the block looks like. Never raises; every text in it is safe to show.

        Args:
            meta: What the block is.
            block: ``(rows, …)``, predicted rows alone; not changed by anyone.
            width, height: Cells there are.
        """
        shown = block.view()
        shown.flags.writeable = False
        wanted = [meta.view, "auto"] if meta.view != "auto" else ["auto"]
        if len(block):
            for view in wanted:
                found = self._first(replace(meta, view=view), shown, width, height)
                if found is not None:
                    return found
        empty = "no rows to show" if not len(block) else "nothing registered can show this"
        return Text(lines=(empty,), title=f"{meta.name} {meta.dtype}")

    def _first(self, meta: BlockMeta, block: np.ndarray, width: int, height: int) -> Preview | None:
        for asked in self._asked:
            found = None if asked.off else self._answer(asked, meta, block, width, height)
            if found is not None:
                return found
        return None

    def _answer(
        self, asked: _Asked, meta: BlockMeta, block: np.ndarray, width: int, height: int
    ) -> Preview | None:
        try:
            with quiet_stdout():
                if asked.function is None:
                    asked.function = self._plugins.preview(asked.entry)
                found = asked.function(meta, block, width, height)
                return None if found is None else checked(found)
        except (Exception, SystemExit) as error:
            asked.off = True
            self._report(f'the preview "{asked.entry.name}" is switched off: {reason_of(error)}')
            return None
