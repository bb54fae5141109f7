"""Small reads: never more than the bound, never a value that was not committed."""

from pathlib import Path

import foretell
import numpy as np
import pytest
from foretell.errors import NotYetPredicted, UnknownOutput
from foretell.plugins.manager import load_plugins
from foretell.store import peek as peeks
from foretell.store.contents import contents_of, nodes_of
from foretell.store.open import open_objects
from foretell.store.open_in import expressions, openings
from foretell.store.peek import Peek
from foretell.store.snapshot import open_snapshot

PLUGINS = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"})


def outputs(rows):
    if (rows == 13).any():
        raise ValueError("unlucky")
    n = np.repeat(rows.astype("f4"), 1024).reshape(-1, 32, 32)
    return {
        "map": n,
        "deep": {"score": rows.astype("f4") / 2},
        "text": [f"row {int(row)}" for row in rows],
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """40 rows in chunks of 8 (32 kB of ``map``); row 13 is quarantined."""
    folder = tmp_path_factory.mktemp("peek")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_CACHE_DIR", str(folder / "cache"))
        foretell.predict(
            outputs, np.arange(40.0), str(folder / "run.zarr"), batch_size=2,
            schedule={"chunk": 8, "retries": 0}, allow_partial=True,
        )  # fmt: skip
    return str(folder / "run.zarr")


@pytest.fixture
def peek(run):
    snapshot = open_snapshot(open_objects(run))
    return Peek(snapshot, PLUGINS.writer_of(snapshot))


def test_a_small_chunk_is_read_whole_without_its_quarantined_rows(peek):
    block = peek.block("map", 1)
    assert block.rows.tolist() == [8, 9, 10, 11, 12, 14, 15]
    assert (block.values[:, 0, 0] == block.rows).all()
    assert (block.total, block.quarantined, block.note) == (8, 1, "")
    assert peek.block("valid", 1).values.tolist() == [1, 1, 1, 1, 1, 2, 1, 1]
    assert peek.block("text", 0).values.tolist()[:2] == ["row 0", "row 1"]


def test_a_large_chunk_is_sampled_within_the_bound(peek, monkeypatch):
    decoded = []
    read = type(peek.writer).read_span

    def counting(self, *arguments):
        values = read(self, *arguments)
        decoded.append(values.nbytes)
        return values

    monkeypatch.setattr(type(peek.writer), "read_span", counting)
    monkeypatch.setattr(type(peek.writer), "span_rows", lambda self, name: 2)
    small = Peek(peek.snapshot, peek.writer, most=4 * 4096)
    block = small.block("map", 1)
    assert block.rows.tolist() == [8, 9, 14, 15]
    assert (block.values[:, 31, 31] == block.rows).all()
    assert block.note == "chunk is 32.8 kB, showing a strided sample"
    assert sum(decoded) <= 4 * 4096


def test_the_zarr_writer_says_how_little_it_can_decode(peek):
    assert peek.writer.span_rows("map") in (1, 2, 4, 8)
    assert peek.writer.span_rows("valid") == 8
    chunk = peek.plan.chunk(2)
    whole, _ = peek.writer.read(chunk, ["map"])
    assert (peek.writer.read_span(chunk, "map", 3, 6) == whole["map"][3:6]).all()


def test_what_is_too_large_in_every_way_is_not_read(peek):
    block = Peek(peek.snapshot, peek.writer, most=100).block("map", 0)
    assert block.values.shape == (0, 32, 32)
    assert block.note.startswith("the least part that can be read is ")
    assert block.note.endswith("more than a preview reads (100 B)")


def test_a_writer_of_whole_chunks_is_not_asked_for_a_large_one(run, tmp_path, peek):
    foretell.predict(
        lambda rows: {"y": rows}, np.arange(64.0), str(tmp_path / "run.jsonl"), batch_size=64
    )
    snapshot = open_snapshot(open_objects(str(tmp_path / "run.jsonl")))
    writer = PLUGINS.writer_of(snapshot)
    assert Peek(snapshot, writer).block("y", 0).values.tolist() == list(range(64))
    block = Peek(snapshot, writer, most=100).block("y", 0)
    assert len(block.values) == 0
    assert block.note.startswith("the chunk is 512 B and can only be read whole")
    assert contents_of(snapshot, snapshot.objects, writer).arrays[0].bytes is None


def test_refusals(peek):
    peek.snapshot.table.state[4] = 0
    with pytest.raises(NotYetPredicted):
        peek.block("map", 4)
    with pytest.raises(UnknownOutput):
        peek.block("mop", 0)


def test_which_chunk(peek):
    assert peek.first() == 0
    assert peek.latest() in range(5)
    assert (peek.next_done(0), peek.next_done(4), peek.next_done(3, -1), peek.next_done(0, -1)) == (
        1, None, 2, None,
    )  # fmt: skip
    peek.snapshot.table.state[:] = 0
    assert (peek.first(), peek.latest(), peek.next_done(0)) == (None, None, None)


def test_the_meta_of_a_block(peek):
    block = peek.block("deep/score", 0)
    meta = block.meta("line", 2)
    assert (meta.name, meta.dtype, meta.chunk, meta.total, meta.view, meta.index) == (
        "deep/score", "float32", 0, 8, "line", 2,
    )  # fmt: skip
    assert meta.row(3) == 3
    assert peeks.LIMIT == 4 * 2**20


def test_the_tree_has_sizes_and_how_much_is_filled(peek):
    contents = contents_of(peek.snapshot, peek.snapshot.objects, peek.writer)
    assert [(node.path, node.depth, node.array is None) for node in nodes_of(contents)] == [
        ("deep", 0, True),
        ("deep/score", 1, False),
        ("map", 0, False),
        ("text", 0, False),
        ("valid", 0, False),
    ]
    by_name = {array.name: array for array in contents.arrays}
    folder = peek.snapshot.objects.path
    for name, array in by_name.items():
        files = [p for p in (Path(folder) / name).rglob("*") if p.is_file() and p.suffix != ".json"]
        assert array.bytes == sum(path.stat().st_size for path in files)
    assert contents.filled == 39 / 40
    assert contents.bytes == sum(array.bytes or 0 for array in contents.arrays)
    assert contents.predicted == ("deep/score", "map", "text")


def test_how_to_open_it_elsewhere(peek):
    contents = contents_of(peek.snapshot, peek.snapshot.objects)
    by_name = {array.name: array for array in contents.arrays}
    tools = {
        name: [opening.tool for opening in openings(contents, "a b/run.zarr", array)]
        for name, array in by_name.items()
    }
    assert tools["map"] == ["xarray", "foretell", "napari", "neuroglancer", "vizarr"]
    assert tools["text"] == ["xarray", "foretell"]
    remote = openings(contents, "s3://lab/run.zarr", by_name["map"])
    assert [opening.tool for opening in remote] == ["foretell", "napari", "neuroglancer"]
    assert expressions(contents, "run.zarr")[0] == (
        "xarray.open_datatree('run.zarr', engine=\"zarr\")"
    )


def test_the_python_commands_work(peek, run):
    import shlex
    import subprocess
    import sys

    contents = contents_of(peek.snapshot, peek.snapshot.objects)
    array = next(array for array in contents.arrays if array.name == "map")
    for opening in openings(contents, run, array)[:2]:
        python, flag, code = shlex.split(opening.steps[0])
        assert (python, flag) == ("python", "-ic")
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; print(type(data).__name__)"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.strip() in ("DataTree", "OutputReader"), done.stderr
