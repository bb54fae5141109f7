"""Bad rows, bad chunks, bad outputs: what is lost, what is not, and what the user is told."""

from __future__ import annotations

import numpy as np
import pytest

BAD = 777.0


def rows_with_bad(count: int, *bad: int) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(count, 4)).astype("float32")
    rows[list(bad), 0] = BAD
    return rows


COUNTING = """
import os
calls = []
def f(x):
    log = os.open("calls.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, b"%d\\n" % len(x))
    os.close(log)
    if (x[:, 0] == 777).any():
        raise ValueError("a row says 777")
    return {"y": x.sum(1)}
"""


def test_one_bad_row_in_a_batch_of_256(bench):
    data = rows_with_bad(1024, 700)
    bench.data(data)
    bench.model(COUNTING)
    done = bench.predict(schedule__chunk=256, predictor__batch_size=256, schedule__workers=0)
    assert done.code == 3, done.err
    run = bench.opened()
    assert (np.flatnonzero(run.valid[:] != 1) == [700]).all()
    assert run.valid[700] == 2
    good = np.arange(1024) != 700
    assert (run["y"].filled()[:][good] == data.sum(1)[good]).all()
    sizes = [int(line) for line in (bench.folder / "calls.log").read_text().split()]
    assert set(sizes) == {256}  # the shape of the batch never changes
    # 4 chunks, the dry batch and its 2 timed repetitions, and the search: 2 * log2(256).
    assert len(sizes) <= 4 + 3 + 16
    (group,) = run.failures()
    assert (group.example.kind, group.row_count) == ("ValueError", 1)
    (failure,) = run.each_failure()
    (row,) = failure.rows
    assert (row.row, row.locator, row.message) == (700, "x.npy[700]", "a row says 777")
    assert "a row says 777" in failure.traceback
    assert failure.traceback.count("Traceback (most recent call last)") == 1
    bench.verified()


def test_every_bad_row_is_found_and_no_other_is_lost(bench):
    bad = [3, 4, 64, 127, 128, 400, 511]
    bench.data(rows_with_bad(512, *bad))
    bench.model(COUNTING)
    assert bench.predict(schedule__workers=0).code == 3
    assert np.flatnonzero(bench.opened().valid[:] == 2).tolist() == bad


def test_a_model_that_names_its_bad_rows_is_believed(bench):
    bench.data(rows_with_bad(512, 70, 90))
    bench.model("""
from foretell.errors import RowFailure
def f(x):
    bad = np.flatnonzero(x[:, 0] == 777)
    if len(bad):
        raise RowFailure(bad, "no such tile")
    return {"y": x.sum(1)}
""")
    assert bench.predict(schedule__workers=0).code == 3
    run = bench.opened()
    assert np.flatnonzero(run.valid[:] == 2).tolist() == [70, 90]
    assert run.each_failure()[0].message == "no such tile"


def test_a_chunk_that_segfaults_its_worker_is_set_aside_alone(bench):
    bench.data(rows_with_bad(1024, 300))
    bench.model("""
import ctypes
def f(x):
    if (x[:, 0] == 777).any():
        ctypes.string_at(0)
    return {"y": x.sum(1)}
""")
    done = bench.predict(schedule__workers=1)
    assert done.code == 3, done.err
    run = bench.opened()
    assert np.flatnonzero(run.states == 5).tolist() == [300 // 64]
    assert (run.valid[:] == 2).sum() == 64
    assert "SIGSEGV" in done.err
    assert any("Fatal Python error" in f.traceback for f in run.each_failure())
    bench.verified()


def test_a_hanging_chunk_is_ended_from_outside_even_with_the_lock_held(bench):
    bench.data(rows_with_bad(512, 300))
    bench.model("""
import re
def f(x):
    if (x[:, 0] == 777).any():
        re.match(r"(a+)+$", "a" * 64 + "b")   # holds the interpreter lock for ever
    return {"y": x.sum(1)}
""")
    done = bench.predict(schedule__timeout="1s", schedule__retries=1)
    assert done.code == 3, done.err
    run = bench.opened()
    assert np.flatnonzero(run.states == 5).tolist() == [300 // 64]
    assert {failure.kind for failure in run.each_failure()} == {"timeout"}
    bench.nobody_left()


def test_in_process_the_watcher_ends_the_command_and_the_next_start_knows_the_suspect(bench):
    bench.data(rows_with_bad(512, 300))
    bench.model("""
import time
def f(x):
    if (x[:, 0] == 777).any():
        time.sleep(1000)
    return {"y": x.sum(1)}
""")
    chosen = {"schedule__workers": 0, "schedule__timeout": "1s", "schedule__retries": 1}
    codes = [bench.predict(**chosen).code for _ in range(3)]
    assert codes == [-9, -9, 3]
    run = bench.opened()
    assert np.flatnonzero(run.states == 5).tolist() == [300 // 64]
    assert (run.valid[:] == 1).sum() == 512 - 64


def test_a_worker_that_grows_beyond_its_memory_limit_is_ended(bench):
    bench.data(rows_with_bad(512, 300))
    bench.model("""
import time
def f(x):
    if (x[:, 0] == 777).any():
        held = [np.ones(25_000_000) for _ in range(4)]
        time.sleep(60)
    return {"y": x.sum(1)}
""")
    done = bench.predict(schedule__memory_limit="600MB", schedule__retries=0)
    assert done.code == 3, done.err
    run = bench.opened()
    assert np.flatnonzero(run.states == 5).tolist() == [300 // 64]
    assert "smaller batch_size" in run.each_failure()[0].message


def test_nan_is_counted_and_never_confused_with_not_predicted(bench):
    bench.data(rows_with_bad(512, 300))
    bench.model("def f(x): return {'y': np.where(x[:, 0] == 777, np.nan, x.sum(1))}\n")
    assert bench.predict().code == 0
    run = bench.opened()
    assert run.valid[300] == 1
    assert np.isnan(run["y"][300])
    assert run.status().totals.rows_nan == 1


def test_on_nan_fail_ends_the_run(bench):
    bench.data(rows_with_bad(512, 300))
    bench.model("def f(x): return {'y': np.where(x[:, 0] == 777, np.inf, x.sum(1))}\n")
    done = bench.predict(schedule__on_nan="fail", schedule__retries=0)
    assert done.code == 7
    assert "1 rows have a NaN or an infinity in an output" in done.err


def test_on_error_fail_drains_at_the_first_failure(bench):
    bench.data(rows_with_bad(512, 300))
    bench.model(COUNTING)
    done = bench.predict(schedule__on_error="fail")
    assert done.code == 7
    assert 'on_error = "fail"' in done.err


def test_the_failure_budget_ends_the_run(bench):
    bench.data(rows_with_bad(512, *range(100, 140)))
    bench.model(COUNTING)
    done = bench.predict(schedule__max_failed=10, schedule__workers=0)
    assert done.code == 7
    assert "schedule.max_failed = 10" in done.err
    assert bench.opened().status().state == "failed"


def test_an_output_that_changes_its_shape_fails_its_chunks_and_names_both(bench):
    bench.data(rows_with_bad(512, 300))
    bench.model("""
def f(x):
    wide = 3 if (x[:, 0] == 777).any() else 2
    return {"y": np.zeros((len(x), wide), dtype="float32")}
""")
    done = bench.predict(schedule__retries=0)
    assert done.code == 3
    (failure,) = bench.opened().each_failure()
    assert failure.kind == "ShapeMismatch"
    assert np.flatnonzero(bench.opened().states == 4).tolist() == [300 // 64]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "def f(x): return {'valid': x[:, 0]}\n",
            "error[output-reserved]: the output name 'valid' is reserved\n"
            "  reserved   _run, valid\n"
            "  try        rename it in postprocess\n",
        ),
        (
            "def f(x): return {'y': x[:3, 0]}\n",
            "error[output-mismatch]: the model returned another number of rows than it was given\n"
            "  where      output.y\n"
            "  expected   64 rows\n"
            "  got        3 rows\n",
        ),
        (
            "def f(x): return {'y': np.zeros(len(x), dtype='M8[s]')}\n",
            "error[output-mismatch]: this dtype cannot be stored\n"
            "  output   y\n"
            "  got      datetime64[s]\n"
            "  try      return numbers, booleans, strings or plain lists\n",
        ),
        (
            "def f(x): raise RuntimeError('not today')\n",
            "error[model-raises]: the model fails on every row of the dry batch\n"
            "  cause   RuntimeError: not today\n"
            "  rows    0 to 512: start, middle and end\n"
            "  try     --debug      shows the traceback\n",
        ),
    ],
)
def test_what_the_dry_batch_refuses(bench, model, message):
    bench.data(rows_with_bad(512))
    bench.model(model)
    done = bench.predict()
    assert message in done.err
    assert done.code == (4 if "raises" in message else 2)
    assert not bench.store.exists()


def test_retry_predicts_only_the_failed_rows_and_keeps_the_others(bench):
    bench.data(rows_with_bad(512, 300, 301))
    bench.model("""
import os
def f(x):
    if os.path.exists("calls.log") or (x[:, 0] == 777).any() and not os.path.exists("mended"):
        log = os.open("calls.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(log, b"%d\\n" % len(x))
        os.close(log)
    if (x[:, 0] == 777).any() and not os.path.exists("mended"):
        raise ValueError("not yet")
    return {"y": x.sum(1)}
""")
    assert bench.predict(schedule__workers=0).code == 3
    before = bench.outputs()
    (bench.folder / "mended").touch()
    (bench.folder / "calls.log").write_text("")
    retried = bench.sdk("retry", str(bench.store))
    assert retried.code == 0, retried.err
    assert (bench.folder / "calls.log").read_text().split() == ["64"]  # one batch, no other chunk
    run = bench.opened()
    assert (run.valid[:] == 1).all()
    assert run.status().state == "done"
    (group,) = run.failures()
    assert (group.count, group.standing, group.row_count, group.rows) == (1, 0, 0, ())
    after = bench.outputs()
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {"zarr.json", "y/c.4", "valid/c.4"}
    bench.verified()


def test_a_retry_may_save_a_run_that_lost_too_much(bench):
    bench.data(rows_with_bad(512, *range(100, 140)))
    bench.model("""
import os
def f(x):
    if (x[:, 0] == 777).any() and not os.path.exists("mended"):
        raise ValueError("not yet")
    return {"y": x.sum(1)}
""")
    assert bench.predict(schedule__max_failed=30, schedule__retries=0).code == 7
    (bench.folder / "mended").touch()
    assert bench.predict(schedule__max_failed=1000).code in (0, 3)
    assert bench.sdk("retry", str(bench.store), "--set", "schedule.max_failed=0").code == 0
    assert (bench.opened().valid[:] == 1).all()


def test_a_retry_that_fails_again_leaves_the_good_rows(bench):
    bench.data(rows_with_bad(512, 300))
    bench.model(COUNTING)
    assert bench.predict(schedule__workers=0).code == 3
    before = bench.outputs()
    assert bench.sdk("retry", str(bench.store)).code == 3
    assert bench.outputs() == before
    (group,) = bench.opened().failures()
    assert (group.count, group.standing, group.row_count) == (2, 1, 1)
    assert [row.row for row in group.rows] == [300]
    bench.verified()


def test_rows_without_source_content_are_kept_apart(bench):
    lines = [f'{{"id": "a{i}", "v": {i}}}' for i in range(200)]
    lines[77] = '{"id": "broken", '
    (bench.folder / "x.jsonl").write_text("\n".join(lines) + "\n")
    bench.model("def f(records): return {'y': [float(r['v']) for r in records]}\n")
    done = bench.run(
        bench.command(
            "predict",
            "--source",
            "x.jsonl",
            "--model",
            "model:f",
            "--output",
            str(bench.store),
            sets={
                "schedule.chunk": 64,
                "predictor.batch_size": 64,
                "writer.keep": '["id"]',
            },
        )
    )
    assert done.code == 3, done.err
    run = bench.opened()
    assert np.flatnonzero(run.valid[:] == 2).tolist() == [77]
    assert run["id"].filled()[76:79].tolist() == ["a76", "", "a78"]
    (failure,) = run.each_failure()
    assert failure.rows[0].locator == "x.jsonl:78"


def test_equal_bytes_for_any_number_of_workers_and_slots(bench):
    bench.data(rows_with_bad(1000))
    bench.model("def f(x, keys): return {'y': x.sum(1), 'k': keys.astype('int64')}\n")
    seen = []
    for workers in (0, 1, 2):
        done = bench.predict(schedule__workers=workers)
        assert done.code == 0, done.err
        seen.append(bench.outputs())
        import shutil

        shutil.rmtree(bench.store)
    assert seen[0] == seen[1] == seen[2]


def test_no_rows_is_a_complete_run(bench):
    bench.data(np.zeros((0, 4), dtype="float32"))
    bench.model("def f(x): return {'y': x.sum(1)}\n")
    done = bench.predict()
    assert done.code == 0, done.err
    assert bench.opened().status().state == "done"
    assert bench.predict().code == 0
