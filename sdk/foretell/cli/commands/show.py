"""``sdk show``: what a store holds and how to open it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.session import Session
from foretell.previews.values import VIEWS

if TYPE_CHECKING:
    from foretell.cli.preview import Preview
    from foretell.store.contents import ArrayInfo, Contents
    from foretell.store.peek import Peek

WIDTH = 100


@click.command("show")
@options.run_argument
@click.argument("array", metavar="[ARRAY]", required=False)
@click.option("--chunk", type=click.IntRange(0), help="Preview this chunk, not the first one done.")
@click.option("--as", "view", type=click.Choice(VIEWS), default="auto",
              help="How the preview of ARRAY shows its values.")  # fmt: skip
@options.common
@click.pass_obj
def command(session: Session, run: str, array: str | None, chunk: int | None, view: str) -> int:
    """Show the tree of a store with shapes, dtypes, chunks and attributes, a preview of what is
    done, and how to open it. With ARRAY, one output in full.
    """
    from foretell.cli.output import emit, out
    from foretell.cli.parts import locate, open_snapshot_of
    from foretell.cli.preview import peek_of, preview_of
    from foretell.redact import redact_url
    from foretell.store.contents import contents_of
    from foretell.store.open_in import expressions

    url = redact_url(locate(run))
    objects, snapshot = open_snapshot_of(run)
    peek = peek_of(snapshot)
    contents = contents_of(snapshot, objects, peek.writer)
    chosen = contents.arrays if array is None else (_find(contents, array),)
    _check(array, chunk, view, snapshot.plan.n_chunks)
    done = int(snapshot.table.totals(snapshot.plan.n_rows, snapshot.plan.chunk_rows).done)
    opened_by = expressions(contents, url)
    if session.json:
        preview = preview_of(peek, [info.name for info in chosen])
        emit("show", _document(url, contents, chosen, preview, snapshot, done, opened_by))
        return 0
    title = f"{url}   {contents.kind}   {snapshot.plan.n_rows:,} rows in "
    out(f"{title}{snapshot.plan.n_chunks:,} chunks, {done:,} done")
    for line in _tree(chosen) if array is None else _details(chosen[0]):
        out(line)
    if array is None:
        for line in _previews(preview_of(peek, [info.name for info in chosen])):
            out(line)
        out("open it with")
        for opener in opened_by:
            out(f"  {opener}")
        return 0
    for line in _picture(peek, chosen[0].name, chunk, view):
        out(line)
    out("open it with")
    for line in _openings(contents, url, chosen[0]):
        out(line)
    return 0


def _check(array: str | None, chunk: int | None, view: str, n_chunks: int) -> None:
    from foretell.errors import UsageError

    if array is None and (chunk is not None or view != "auto"):
        raise UsageError("--chunk and --as need an ARRAY")
    if chunk is not None and chunk >= n_chunks:
        raise UsageError(
            f"this run has no chunk {chunk}",
            facts=[("chunks", f"0 to {n_chunks - 1}" if n_chunks else "none")],
        )


def _find(contents: Contents, name: str) -> ArrayInfo:
    from foretell.config.suggest import nearest
    from foretell.errors import UsageError

    names = [info.name for info in contents.arrays]
    for info in contents.arrays:
        if info.name == name.strip("/"):
            return info
    near = nearest(name, names)
    raise UsageError(
        f'this store holds no array "{name}"',
        facts=[("arrays", ", ".join(names))],
        tries=[(near, "the nearest name")] if near else [],
    )


def _tree(arrays: tuple[ArrayInfo, ...]) -> list[str]:
    from foretell.cli.output import table
    from foretell.text import size

    rows = [("array", "dtype", "shape", "chunks", "shards", "stored", "dimensions")]
    rows += [
        (
            info.name,
            info.dtype,
            str(info.shape),
            str(info.chunks) if info.chunks else "",
            str(info.shards) if info.shards else "",
            "" if info.bytes is None else size(info.bytes),
            ", ".join(info.dims),
        )
        for info in arrays
    ]
    return table(rows, indent="  ")


def _details(info: ArrayInfo) -> list[str]:
    from foretell.cli.output import table
    from foretell.text import size

    rows = [
        ("array", info.name),
        ("dtype", info.dtype),
        ("shape", str(info.shape)),
        ("dimensions", ", ".join(info.dims)),
        ("chunks", str(info.chunks) if info.chunks else ""),
        ("shards", str(info.shards) if info.shards else ""),
        ("codecs", ", ".join(info.codecs)),
        ("stored", "" if info.bytes is None else size(info.bytes)),
        ("filled", f"{info.filled:.1%} of the rows"),
        *((f"attribute {name}", str(value)) for name, value in info.attributes.items()),
    ]
    return table(((label, text) for label, text in rows if text), indent="  ")


def _previews(preview: Preview | None) -> list[str]:
    from foretell.cli.output import table
    from foretell.text import clip

    if preview is None:
        return ["preview   nothing is predicted yet"]
    lines = [f"preview   rows {preview.start:,} to {preview.stop - 1:,}"]
    rows = [
        (name, clip(" ".join(values), 80), preview.statistics.get(name, ""))
        for name, values in preview.values.items()
    ]
    return lines + table(rows, indent="  ")


def _picture(peek: Peek, name: str, chunk: int | None, view: str) -> list[str]:
    """What one output looks like."""
    import sys

    from foretell.cli.preview import picture_of
    from foretell.previews.drawing import lines_of

    found = picture_of(peek, name, chunk, view)
    if found is None:
        return ["preview   nothing is predicted yet"]
    picture, note = found
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    drawn = [f"  {line}" for line in lines_of(picture, WIDTH - 2, ascii_only=plain)]
    return ["preview", *([f"  {note}"] if note else []), *drawn]


def _openings(contents: Contents, url: str, info: ArrayInfo) -> list[str]:
    from foretell.cli.output import table
    from foretell.store.open_in import openings

    rows = [
        (opening.tool if first else "", step)
        for opening in openings(contents, url, info)
        for first, step in zip((True, *[False] * len(opening.steps)), opening.steps, strict=False)
    ]
    return table(rows, indent="  ")


def _document(
    url: str,
    contents: Contents,
    chosen: tuple[ArrayInfo, ...],
    preview: Preview | None,
    snapshot: Any,
    done: int,
    opened_by: list[str],
) -> dict[str, Any]:
    return {
        "run": url,
        "kind": contents.kind,
        "rows": snapshot.plan.n_rows,
        "chunks": snapshot.plan.n_chunks,
        "chunks_done": done,
        "attributes": dict(contents.attributes),
        "arrays": [{**asdict(info), "attributes": dict(info.attributes)} for info in chosen],
        "preview": None if preview is None else asdict(preview),
        "open_with": opened_by,
    }
