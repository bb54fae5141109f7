import numpy as np
import pytest
from foretell import open_run
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.errors import FingerprintMismatch, HeldError, Interrupted
from foretell.plan import Plan
from foretell.store import assemble as assembling
from foretell.store import control
from foretell.store.assemble import Assembly, assemble
from foretell.store.leases import LATE_WRITE_SECONDS
from foretell.store.local import LocalObjects
from foretell.store.manifest import new_manifest
from foretell.store.snapshot import open_snapshot
from foretell.store.verify import verify
from foretell.types import OutputSpec, RunState
from ledger_model import FakeTime

N, CHUNK = 50, 8


def manifest(rows=N, model="a"):
    plan = Plan(
        n_rows=rows,
        row_offset=0,
        chunk_rows=CHUNK,
        batch_size=CHUNK,
        slots=1,
        threads=1,
        group_size=1,
        seed=0,
        outputs=(OutputSpec("y", (2,), "float32"), OutputSpec("text", (), "str")),
    )
    return new_manifest(
        job={"version": 1, "source": None, "predictor": None, "writer": {"kind": "zarr"}},
        fingerprint={"model": model},
        plan=plan.to_json(),
        versions={},
        live=True,
    )


def values(rows):
    y = np.stack([rows, rows + 0.5], axis=1).astype("float32")
    return {"y": y, "text": np.array([f"row {row}" for row in rows], dtype=object)}


class Reader:
    def __init__(self, without=(), stop_at=None):
        self.without, self.stop_at, self.chunks = without, stop_at, []

    def __call__(self, chunk):
        if chunk.id == self.stop_at:
            raise KeyboardInterrupt
        self.chunks.append(chunk.id)
        rows = np.arange(chunk.start, chunk.stop)
        valid = np.ones(len(rows), np.uint8)
        valid[np.isin(rows, list(self.without))] = 2
        return values(rows), valid


def opened(folder, time=None, **about):
    objects = LocalObjects(str(folder))
    writer = ZarrWriter(ZarrOptions(), objects)
    return Assembly(objects, manifest(**about), writer, clock=(time or FakeTime()).clock)


def add(assembly, *chunks, without=()):
    plan = Plan.from_json(manifest().plan)
    for chunk in map(plan.chunk, chunks):
        assembly.add(chunk, *Reader(without)(chunk))


def run(folder, read, time=None, **about):
    objects = LocalObjects(str(folder))
    writer = ZarrWriter(ZarrOptions(), objects)
    return assemble(objects, manifest(**about), writer, read, clock=time and time.clock)


def check(folder):
    objects = LocalObjects(str(folder))
    report = verify(open_snapshot(objects), ZarrWriter(ZarrOptions(), objects), deep=True)
    assert report.problems == []


def test_what_comes_out_is_a_finished_run(tmp_path):
    assert run(tmp_path / "r", Reader()) is RunState.DONE
    check(tmp_path / "r")
    opened = open_run(str(tmp_path / "r"))
    np.testing.assert_array_equal(opened["y"][:], values(np.arange(N))["y"])
    assert opened["text"][41] == "row 41"
    status = opened.status()
    assert (status.state, status.totals.rows_done) == ("done", N)


def test_rows_without_a_prediction_make_it_partial(tmp_path):
    assert run(tmp_path / "r", Reader(without={3, 20})) is RunState.PARTIAL
    check(tmp_path / "r")
    opened = open_run(str(tmp_path / "r"))
    assert np.flatnonzero(opened.valid[:] == 2).tolist() == [3, 20]
    assert opened.status().totals.rows_quarantined == 2


@pytest.mark.parametrize("stop_at", range(7))
def test_a_call_that_was_stopped_is_continued(tmp_path, stop_at):
    whole = tmp_path / "whole"
    run(whole, Reader())
    first = Reader(stop_at=stop_at)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "r", first)
    second, time = Reader(), FakeTime()
    assert run(tmp_path / "r", second, time) is RunState.DONE
    # The first wrote in this process, which lives: what it began may still be on its way.
    assert sum(time.slept) >= LATE_WRITE_SECONDS
    check(tmp_path / "r")
    for path in whole.rglob("*"):
        inside = path.relative_to(whole)
        if path.is_file() and inside.parts[0] != "_run":
            assert (tmp_path / "r" / inside).read_bytes() == path.read_bytes()


def test_a_finished_run_is_not_touched(tmp_path):
    run(tmp_path / "r", Reader(without={3}))
    before = {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()}
    again = Reader()
    assert run(tmp_path / "r", again) is RunState.PARTIAL
    assert again.chunks == []
    assert before == {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()}


def test_another_run_in_the_place_is_refused(tmp_path):
    run(tmp_path / "r", Reader())
    for other in ({"rows": N + 1}, {"model": "b"}):
        with pytest.raises(FingerprintMismatch):
            run(tmp_path / "r", Reader(), **other)


def test_two_cannot_assemble_one_run(tmp_path):
    class Nested(Reader):
        def __call__(self, chunk):
            with pytest.raises(HeldError):
                run(tmp_path / "r", Reader())
            return super().__call__(chunk)

    assert run(tmp_path / "r", Nested()) is RunState.DONE


def test_no_rows_are_a_finished_run(tmp_path):
    assert run(tmp_path / "r", Reader(), rows=0) is RunState.DONE
    assert len(open_run(str(tmp_path / "r"))["y"][:]) == 0


# --- a chunk at a time ----------------------------------------------------------------------------


def test_chunks_come_in_any_order_and_the_rest_at_the_end(tmp_path):
    folder, time, rest = tmp_path / "r", FakeTime(), Reader()
    with opened(folder, time) as assembly:
        add(assembly, 3, 6, 0)
        assert [assembly.is_done(chunk) for chunk in (0, 3)] == [False, True]
        assembly.record()
        assert assembly.is_done(0)
        assembly.fill(rest)
        assert assembly.finish() is RunState.DONE
    assert rest.chunks == [1, 2, 4, 5]
    check(folder)
    np.testing.assert_array_equal(open_run(str(folder))["y"][:], values(np.arange(N))["y"])


def test_somebody_who_watches_sees_it_grow(tmp_path):
    folder, time = tmp_path / "r", FakeTime()
    time.now = 4e9  # later than the clock of who watches: no beat is ever late
    with opened(folder, time) as assembly:
        for chunk in range(4):
            add(assembly, chunk)
            time.now += assembly.interval
            assembly.beat()
            status = open_run(str(folder)).status()
            assert (status.state, status.totals.done) == ("running", chunk + 1)
        assert status.head is not None
        assert status.head.rates.rows_per_second == pytest.approx(CHUNK / assembly.interval)
        assert status.head.rates.eta_high == pytest.approx(18 / CHUNK * assembly.interval)


def test_stopped_in_order_it_is_continued_at_once(tmp_path):
    folder = tmp_path / "r"
    with opened(folder) as assembly:
        add(assembly, 0, 1)
        assembly.stop("no more rows")
    status = open_run(str(folder)).status()
    assert status.head is not None
    assert (status.state, status.head.reason) == ("interrupted", "no more rows")
    rest, time = Reader(), FakeTime()
    assert run(folder, rest, time) is RunState.DONE
    assert rest.chunks == [2, 3, 4, 5, 6]
    assert time.slept == []
    check(folder)


@pytest.mark.parametrize(("group", "threads"), [(2, 2), (64, 1)])
def test_it_can_be_cancelled(tmp_path, monkeypatch, group, threads):
    """At the end of a group, and in a group of chunks that take long."""
    monkeypatch.setattr(assembling, "GROUP", group)
    monkeypatch.setattr(assembling, "THREADS", threads)
    folder, time = tmp_path / "r", FakeTime()

    class Impatient(Reader):
        def __call__(self, chunk):
            if chunk.id == 1:
                assert control.request(LocalObjects(str(folder)), control.CANCEL, 1)
            time.now += 2.0
            return super().__call__(chunk)

    first = Impatient()
    with opened(folder, time) as assembly:
        with pytest.raises(Interrupted):
            assembly.fill(first)
        assembly.stop("")
    assert first.chunks == [0, 1]
    assert open_run(str(folder)).status().state == "cancelled"
    assert run(folder, Reader(), FakeTime()) is RunState.DONE
    check(folder)
