"""The command line: the only place that prints and knows exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``sdk`` and end the process with its exit code."""
    from foretell.cli.app import run

    raise SystemExit(run(arguments))
