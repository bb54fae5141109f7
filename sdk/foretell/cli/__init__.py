"""The command line: the only place that prints and knows exit codes."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``sdk`` and end the process with its exit code."""
    from foretell.cli.app import run

    code = run(arguments)
    # The interpreter ends with full collections over everything that was ever imported, a third of
    # a second after a run. Nothing is in those objects that the process does not give up anyway.
    gc.freeze()
    raise SystemExit(code)
