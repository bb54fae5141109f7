"""Checks a run store against its record: what ``sdk verify`` does, and every chaos test ends with.

Nothing is changed. Of the invariants of the run store it checks that every done chunk's objects
exist, are the recorded bytes and (``deep``) decode to what the plan says; that nothing lies there
that no done chunk explains; and that manifest, ledger and folds are whole and agree.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import metadata

import numpy as np

from foretell.abc.writer import Writer
from foretell.errors import StoreError
from foretell.store.checked import CheckedObjects
from foretell.store.chunk_reader import check_shapes
from foretell.store.layout import RUN
from foretell.store.objects import Stored
from foretell.store.report import Problem, Report
from foretell.store.snapshot import Snapshot
from foretell.store.verify_record import check_record
from foretell.types import Chunk, ChunkState, RunState, Valid

THREADS = 8
"""Enough to keep a local disk busy, and to hide the latency of an object store a little."""

_BATCH = 1_024

_SHAPING = ("foretell", "zarr", "pyarrow")
"""Distributions whose version shows in the documents of the built-in writers."""

Progress = Callable[[int, int], None]
"""Called now and then with chunks checked and chunks to check."""


def verify(
    snapshot: Snapshot, writer: Writer, *, deep: bool = False, progress: Progress | None = None
) -> Report:
    """Check a run store.

    Args:
        snapshot: The run. Brought up to date first.
        writer: Writer of the run's kind, on the same store.
        deep: Also decode every done chunk and compare shapes, dtypes and ``valid``.
        progress: Told how far it has come.

    Returns:
        What was found.

    Raises:
        DamagedLedger: a segment that came since the snapshot was made cannot be trusted.
        StorageError: the storage cannot be read; that says nothing about what it holds.
    """
    snapshot.refresh()
    report = Report(snapshot.objects.url, deep, snapshot.plan.n_chunks)
    report.problems += check_record(snapshot)
    report.problems += _Chunks(snapshot, writer, report).check(progress or (lambda *_: None))
    report.problems += _Leftovers(snapshot, writer).check()
    return report


class _Chunks:
    """Checks the objects of done chunks."""

    def __init__(self, snapshot: Snapshot, writer: Writer, report: Report) -> None:
        self._table = snapshot.table
        self._plan = snapshot.plan
        self._report = report
        self._checked = CheckedObjects(writer.store)
        self._writer = type(writer)(writer.options, self._checked)
        self._writer.open(self._plan.writer_plan())
        self._lock = threading.Lock()

    def check(self, progress: Progress) -> Iterator[Problem]:
        """Problems in the order of chunks."""
        done = self._table.ids(ChunkState.DONE).tolist()
        self._report.done = len(done)
        progress(0, len(done))
        with ThreadPoolExecutor(THREADS) as pool:
            # In batches: a million futures at once would take more memory than the store.
            for at in range(0, len(done), _BATCH):
                for problems in pool.map(self._check, done[at : at + _BATCH]):
                    yield from problems
                progress(min(at + _BATCH, len(done)), len(done))

    def _check(self, chunk_id: int) -> list[Problem]:
        chunk = self._plan.chunk(chunk_id)
        keys = self._writer.objects(chunk)
        sizes, crcs = (
            column[chunk_id].tolist() for column in (self._table.sizes, self._table.crcs)
        )
        if len(keys) > len(sizes) or any(sizes[len(keys) :]):
            text = f"it records {sum(map(bool, sizes))} objects, the chunk has {len(keys)}"
            return [Problem("receipt", text, "", chunk_id)]
        recorded = [Stored(*pair) for pair in zip(sizes, crcs, strict=True)]
        expected = dict(zip(keys, recorded, strict=False))
        with self._checked.expecting(expected):
            problems = [found for key in keys for found in self._check_object(chunk_id, key)]
            if self._report.deep and not problems:
                problems += self._decode(chunk)
        return problems

    def _check_object(self, chunk_id: int, key: str) -> Iterator[Problem]:
        try:
            data = self._checked.get(key)
        except FileNotFoundError:
            yield Problem("missing", "it is not there", key, chunk_id)
        except StoreError as error:
            facts = dict(error.facts)
            text = f"recorded {facts.get('recorded', '?')}, found {facts.get('found', '?')}"
            yield Problem(error.slug.removeprefix("store-"), text, key, chunk_id)
        else:
            with self._lock:
                self._report.objects += 1
                self._report.bytes += len(data)

    def _decode(self, chunk: Chunk) -> Iterator[Problem]:
        try:
            arrays, valid = self._writer.read(chunk)
            check_shapes(self._plan.outputs, arrays, valid, len(chunk))
        except StoreError as error:
            facts = dict(error.facts)
            text = facts.get("cause", error.message)
            yield Problem("decode", text, facts.get("object", facts.get("output", "")), chunk.id)
            return
        recorded = int(self._table.quarantined[chunk.id])
        found = int(np.count_nonzero(valid == Valid.QUARANTINED))
        other = int(np.count_nonzero(valid != Valid.PREDICTED)) - found
        if found != recorded or other:
            text = f"the ledger has {recorded} rows quarantined, valid says {found}"
            if other:
                text += f", and {other} not predicted"
            yield Problem("valid", text, "", chunk.id)


class _Leftovers:
    """Checks what else lies in the store: documents, half commits, things nobody explains."""

    def __init__(self, snapshot: Snapshot, writer: Writer) -> None:
        self._snapshot = snapshot
        self._plan = snapshot.plan
        self._writer = type(writer)(writer.options, CheckedObjects(writer.store))
        self._writer.open(self._plan.writer_plan())
        self._state = snapshot.table.state.copy()
        self._finished = snapshot.state in (RunState.DONE, RunState.PARTIAL)

    def check(self) -> Iterator[Problem]:
        """Problems in no particular order of chunks."""
        documents = self._writer.documents()
        for key, contents in documents.items():
            yield from self._check_document(key, contents)
        explained = {*documents, *self._explained()}
        loose = {
            key
            for key in self._snapshot.objects.list()
            if key not in explained and not key.startswith(RUN + "/")
        }
        yield from self._check_loose(loose)

    def _explained(self) -> Iterator[str]:
        for chunk_id in range(self._plan.n_chunks):
            chunk = self._plan.chunk(chunk_id)
            if self._state[chunk_id] == ChunkState.DONE:
                yield from self._writer.objects(chunk)
            elif self._state[chunk_id] in (ChunkState.FAILED, ChunkState.QUARANTINED):
                yield from self._writer.leftovers(chunk)

    def _check_loose(self, loose: set[str]) -> Iterator[Problem]:
        if not loose:
            return
        for chunk_id in np.flatnonzero(self._state != ChunkState.DONE).tolist():
            state = ChunkState(int(self._state[chunk_id])).name.lower()
            for key in self._writer.objects(self._plan.chunk(chunk_id)):
                if key in loose:
                    loose.remove(key)
                    text = f"its chunk is {state}"
                    yield Problem("orphan", text, key, chunk_id, self._finished)
        for key in sorted(loose):
            yield Problem("unexplained", "no chunk of this run has it", key, None, False)

    def _check_document(self, key: str, contents: Sequence[bytes]) -> Iterator[Problem]:
        try:
            stored = self._snapshot.objects.get(key)
        except FileNotFoundError:
            yield Problem("document", "it is not there", key)
            return
        rightful = {RunState.DONE: contents[-1:], RunState.PARTIAL: contents[:1]}.get(
            self._snapshot.state, contents
        )
        if stored not in rightful:
            other = self._other_versions()
            text = "it is not what was created"
            if other:
                text += f"; this program has {other}"
            yield Problem("document", text, key, None, not other)

    def _other_versions(self) -> str:
        """Libraries that had another version when the run began: documents may differ by them."""
        names = []
        versions = self._snapshot.manifest.versions
        for name, version in ((name, versions[name]) for name in _SHAPING if name in versions):
            with suppress(metadata.PackageNotFoundError):
                if (here := metadata.version(name)) != version:
                    names.append(f"{name} {here}, the run {version}")
        return "; ".join(names)
