"""``sdk report``: a run as one offline page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foretell.report.view import Picture
    from foretell.store.snapshot import Snapshot

MOST_OUTPUTS = 12


@click.command("report")
@options.run_argument
@click.option("-o", "--output", "file", metavar="FILE", required=True,
              type=click.Path(dir_okay=False), help="The page to write.")  # fmt: skip
@click.option("--previews/--no-previews", "previews", default=None,
              help="Read a chunk of each output; off for remote stores.")  # fmt: skip
@options.common
@click.pass_obj
def command(session: Session, run: str, file: str, previews: bool | None) -> int:
    """Write one HTML page about a run: the chunk map, workers over time, pace, failures, what it
    was made of. The page needs no network and no script.
    """
    from dataclasses import replace

    from foretell.cli.output import emit, out
    from foretell.cli.parts import open_snapshot_of
    from foretell.redact import redact_url
    from foretell.report.page import page_of
    from foretell.report.view import view_of

    objects, snapshot = open_snapshot_of(run)
    view = view_of(objects, snapshot)
    if previews or (previews is None and not objects.remote):
        view = replace(view, pictures=tuple(pictures_of(snapshot)))
    data = page_of(view).encode("utf-8", errors="backslashreplace")
    _write(Path(file), data)
    if session.json:
        emit("report", {"run": redact_url(objects.url), "file": file, "bytes": len(data)})
    else:
        out(file)
    return 0


def pictures_of(snapshot: Snapshot) -> Iterator[Picture]:
    """What the first outputs look like in the chunk that was finished last."""
    from foretell.cli.parts import plugins
    from foretell.cli.preview import peek_of
    from foretell.errors import ForetellError
    from foretell.plugins.previewing import Previewer
    from foretell.previews import Text
    from foretell.report.view import Picture

    peek, previewer = peek_of(snapshot), Previewer(plugins())
    chunk = peek.latest()
    if chunk is None:
        return
    for spec in snapshot.plan.outputs[:MOST_OUTPUTS]:
        try:
            block = peek.block(spec.name, chunk)
        except ForetellError as error:
            yield Picture(spec.name, Text(lines=(f"cannot be read: {error.message}",)))
            continue
        yield Picture(spec.name, previewer.ask(block.meta(), block.values, 120, 60), block.note)


def _write(path: Path, data: bytes) -> None:
    from foretell.errors import UsageError

    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(
            "the page cannot be written",
            facts=[("file", str(path)), ("reason", error.strerror or type(error).__name__)],
        ) from None
