"""Dask's own log lines go nowhere while a cluster of ours runs: what matters we say ourselves."""

from __future__ import annotations

import logging


class Quiet:
    """Silences Dask from its creation to its end."""

    def __init__(self) -> None:
        names = ["distributed", "tornado", "asyncio"]
        names += [n for n in logging.root.manager.loggerDict if n.startswith("distributed.")]
        self._levels = {name: logging.getLogger(name).level for name in names}
        for name in names:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def end(self) -> None:
        """Give the levels back."""
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
