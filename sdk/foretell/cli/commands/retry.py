"""``sdk retry``: predict again what failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.cli.progress import Sink

MOST_CHUNKS = 10_000_000


class ChunksType(click.ParamType["tuple[int, ...]"]):
    """Chunk ids as people write them: ``5,9-12``."""

    name = "chunks"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The ids, ascending, each once."""
        ids: set[int] = set()
        for part in str(value).split(","):
            match = re.fullmatch(r"\s*(\d{1,15})(?:\s*-\s*(\d{1,15}))?\s*", part)
            if match is None:
                self.fail(f'"{part.strip()}" is neither a chunk nor a range such as 9-12')
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first or last - first >= MOST_CHUNKS:
                self.fail(f'"{part.strip()}" is not a range of chunks')
            ids.update(range(first, last + 1))
        return tuple(sorted(ids))


@click.command("retry")
@options.run_argument
@click.option("--kind", metavar="KIND", help="Only what failed for this cause.")
@click.option("--chunks", type=ChunksType(), metavar="5,9-12", help="Only these chunks.")
@options.settings
@options.take_over
@options.progress
@options.common
@click.pass_obj
def command(
    session: Session,
    run: str,
    kind: str | None,
    chunks: tuple[int, ...] | None,
    sets: tuple[str, ...],
    take_over: bool,
) -> int:
    """Predict again only the rows and chunks that failed.

    --set may change [schedule] only, a longer timeout for instance.
    """
    from foretell.cli.driving import drive
    from foretell.cli.jobs import parse_schedule_sets
    from foretell.cli.parts import locate

    url = locate(run)
    changed = parse_schedule_sets(sets)

    def start(sink: Sink) -> Any:
        from foretell.run import retry_run

        return retry_run(
            url,
            kind=kind,
            chunks=chunks,
            take_over=take_over,
            sink=sink,
            command=session.command,
            watch=True,
            sets=changed,
        )

    return drive(session, url, start)
