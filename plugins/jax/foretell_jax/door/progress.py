"""Progress of the Python door: a line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax


@contextmanager
def counting(desc: str | None, total: int | None, verbose: bool) -> Iterator[Callable[[int], None]]:
    """Show how many examples are done, on the first process and only on a terminal.

    Args:
        desc: What is being predicted.
        total: Examples, None when nobody knows.
        verbose: Whether to show anything.
    """
    if not (verbose and sys.stderr.isatty() and jax.process_index() == 0):
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    label = "Predicting" if desc is None else f"Predicting ({desc})"
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)
