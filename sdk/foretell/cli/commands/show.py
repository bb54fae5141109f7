"""``sdk show``: what a store holds and how to open it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.cli.describe import ArrayInfo, Contents
    from foretell.cli.preview import Preview


@click.command("show")
@options.run_argument
@click.argument("array", metavar="[ARRAY]", required=False)
@click.option(
    "--separator", is_flag=True, help="Print ARRAY's values alone, a line of dashes between them."
)
@options.common
@click.pass_obj
def command(session: Session, run: str, array: str | None, separator: bool) -> int:
    """Show the tree of a store with shapes, dtypes, chunks and attributes, a preview of what is
    done, and how to open it. With ARRAY, one output in full.
    """
    if separator:
        return _print_values(session, run, array)
    from foretell.cli.describe import contents_of
    from foretell.cli.output import emit, out
    from foretell.cli.parts import locate, open_snapshot_of
    from foretell.cli.preview import preview_of
    from foretell.redact import redact_url

    url = redact_url(locate(run))
    objects, snapshot = open_snapshot_of(run)
    contents = contents_of(snapshot, objects, url)
    chosen = contents.arrays if array is None else (_find(contents, array),)
    preview = preview_of(snapshot, objects, [info.name for info in chosen])
    done = int(snapshot.table.totals(snapshot.plan.n_rows, snapshot.plan.chunk_rows).done)
    if session.json:
        emit("show", _document(url, contents, chosen, preview, snapshot, done))
        return 0
    title = f"{url}   {contents.kind}   {snapshot.plan.n_rows:,} rows in "
    out(f"{title}{snapshot.plan.n_chunks:,} chunks, {done:,} done")
    for line in _tree(chosen) if array is None else _details(chosen[0]):
        out(line)
    for line in _previews(preview):
        out(line)
    out("open it with")
    for opener in contents.open_with:
        out(f"  {opener}")
    return 0


SEPARATOR = "-" * 20


def _print_values(session: Session, run: str, name: str | None) -> int:
    """Every predicted value of one output, in the order of the rows; texts keep their lines."""
    from foretell.cli.output import raw
    from foretell.cli.parts import open_snapshot_of, writer_of
    from foretell.errors import UsageError
    from foretell.store.reader import RunReader
    from foretell.text import visible

    if name is None or session.json:
        raise UsageError(
            "--separator takes one output, and not --json",
            tries=[("sdk show RUN text --separator", "for example")],
        )
    objects, snapshot = open_snapshot_of(run)
    reader = RunReader(snapshot, writer_of(snapshot, objects))
    first = True
    for _, arrays, valid in reader.chunks([name.strip("/")], partial=True):
        for value, known in zip(arrays[name.strip("/")], valid, strict=True):
            if known == 1:
                if not first:
                    raw(SEPARATOR)
                raw(visible(str(value), keep="\n\t") + "\n")
                first = False
    return 0


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

    rows = [("array", "dtype", "shape", "chunks", "shards", "dimensions")]
    rows += [
        (
            info.name,
            info.dtype,
            str(info.shape),
            str(info.chunks) if info.chunks else "",
            str(info.shards) if info.shards else "",
            ", ".join(info.dims),
        )
        for info in arrays
    ]
    return table(rows, indent="  ")


def _details(info: ArrayInfo) -> list[str]:
    from foretell.cli.output import table

    rows = [
        ("array", info.name),
        ("dtype", info.dtype),
        ("shape", str(info.shape)),
        ("dimensions", ", ".join(info.dims)),
        ("chunks", str(info.chunks) if info.chunks else ""),
        ("shards", str(info.shards) if info.shards else ""),
        ("codecs", ", ".join(info.codecs)),
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


def _document(
    url: str,
    contents: Contents,
    chosen: tuple[ArrayInfo, ...],
    preview: Preview | None,
    snapshot: Any,
    done: int,
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
        "open_with": list(contents.open_with),
    }
