"""Command line of one benchmark."""

from __future__ import annotations

import argparse
import sys

from lab.report import save


def parser(doc: str) -> argparse.ArgumentParser:
    """The options every benchmark has."""
    found = argparse.ArgumentParser(description=doc.splitlines()[0])
    form = found.add_mutually_exclusive_group()
    form.add_argument("--small", dest="form", action="store_const", const="small", default="small")
    form.add_argument("--full", dest="form", action="store_const", const="full")
    found.add_argument("--rounds", type=int, default=0, help="5 by default, 3 in the small form")
    return found


def rounds_of(given: argparse.Namespace) -> int:
    """Rounds to measure."""
    return given.rounds or {"small": 3, "full": 5}[given.form]


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def main(measure, doc: str) -> None:
    """Run one benchmark and print its tables."""
    given = parser(doc).parse_args()
    for report in measure(given.form, rounds_of(given), say):
        print(report.markdown(), flush=True)


__all__ = ["main", "parser", "rounds_of", "save", "say"]
