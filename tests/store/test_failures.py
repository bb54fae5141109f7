"""Failures, log, metrics and workers: bounded, exact where it matters, free of secrets."""

import random
import traceback

import pytest
from foretell.errors import DamagedLedger, StorageError
from foretell.store.cause import cause_of, cut, mask, user_frame
from foretell.store.failures import (
    MAX_DETAILS,
    MAX_ROWS,
    MAX_TRACEBACK,
    FailureLog,
    find_failure,
    group_failures,
    read_failures,
)
from foretell.store.layout import FAILURES, LOG, numbered_key
from foretell.store.objects import set_fault_hook
from foretell.store.rings import (
    LogWriter,
    MetricsWriter,
    RingWriter,
    read_log,
    read_metrics,
    read_ring,
    read_workers,
    ring_segments,
    write_workers,
)
from foretell.types import RowError
from hypothesis import given
from hypothesis import strategies as st


def user_traceback() -> str:
    code = compile("def build(x):\n    return 1 / x\nbuild(0)\n", "/home/me/unet.py", "exec")
    try:
        exec(code, {})
    except ZeroDivisionError:
        return traceback.format_exc()
    raise AssertionError


# --- causes -----------------------------------------------------------------------------------


def test_what_differs_between_rows_is_masked():
    one = mask("row 17 of /data/a-1.csv: expected -3.5e-7, got 0x7f3a and 4,096")
    assert one == mask("row 4 of /mnt/x/b.csv: expected 12, got 0x11 and 7")
    assert one != mask("row 17 of /data/a-1.csv: unexpected 3")


def test_the_frame_is_the_users_own():
    text = user_traceback()
    assert user_frame(text) == "unet.py:2 in build"
    with_library = text + f'  File "{random.__file__}", line 1, in choice\n'
    assert user_frame(with_library) == "unet.py:2 in build"
    assert user_frame(f'  File "{random.__file__}", line 9, in choice\n') == "random.py:9 in choice"
    assert user_frame("") == ""


def test_causes_differ_by_kind_message_and_frame():
    causes = {
        cause_of("ValueError", "bad row 1", "a.py:1 in f"),
        cause_of("ValueError", "bad row 2", "a.py:1 in f"),
        cause_of("TypeError", "bad row 1", "a.py:1 in f"),
        cause_of("ValueError", "worse row 1", "a.py:1 in f"),
        cause_of("ValueError", "bad row 1", "a.py:2 in f"),
    }
    assert len(causes) == 4


@given(st.text(max_size=300), st.integers(60, 200))
def test_cut_text_fits(text, limit):
    short = cut(text, limit)
    assert len(short.encode("utf-8", "replace")) <= limit
    if len(text.encode("utf-8", "replace")) <= limit:
        assert short == text.encode("utf-8", "replace").decode()
    else:
        assert "left out" in short


# --- failures ---------------------------------------------------------------------------------


def test_a_failure_comes_back(objects):
    log = FailureLog(objects)
    rows = [RowError(7, "ValueError", "bad", "a.csv:8")]
    number = log.add("ValueError", "bad row", user_traceback(), 3, 2, "tcp://w", rows=rows)
    assert list(read_failures(objects)) == []
    log.flush()
    (failure,) = read_failures(objects)
    assert find_failure(objects, number) == failure
    assert (failure.kind, failure.chunks, failure.attempt) == ("ValueError", (3,), 2)
    assert (failure.worker, failure.rows, failure.row_count) == ("tcp://w", tuple(rows), 1)
    assert failure.frame == "unet.py:2 in build"
    assert "1 / x" not in failure.message
    assert log.last_segment == 1


def test_nothing_is_stored_for_nothing(objects):
    log = FailureLog(objects)
    log.flush()
    assert list(objects.list()) == []


def test_tracebacks_are_cut_and_secrets_removed(objects, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "very-secret-value")
    log = FailureLog(objects)
    text = "Traceback very-secret-value\n" + "x" * 200_000 + "\nValueError: the end"
    log.add("ValueError", "with very-secret-value", text)
    log.flush()
    assert b"very-secret-value" not in objects.get(numbered_key(FAILURES, 1))
    (failure,) = read_failures(objects)
    assert len(failure.traceback.encode()) <= MAX_TRACEBACK
    assert failure.traceback.endswith("ValueError: the end")


def test_counts_stay_exact_when_details_are_left_out(objects):
    log = FailureLog(objects)
    numbers = set()
    for turn in range(5):
        for at in range(100):
            chunk = turn * 100 + at
            numbers.add(log.add("ValueError", f"bad row {chunk}", user_traceback(), chunk))
        log.add("TypeError", "other", chunk=1000 + turn)
        log.flush()
    failures = list(read_failures(objects))
    assert len(numbers) == MAX_DETAILS
    stored = {failure.number for failure in failures}
    assert numbers <= stored
    assert len(stored) == len(failures)
    groups = group_failures(failures)
    assert [(group.example.kind, group.count) for group in groups] == [
        ("ValueError", 500),
        ("TypeError", 5),
    ]
    # No chunk is forgotten: a retry by kind must find them all.
    assert groups[0].chunks == tuple(range(500))
    assert log.kinds() == {"ValueError": 500, "TypeError": 5}
    assert FailureLog(objects).kinds() == log.kinds()
    assert FailureLog(objects).add("X", "x") == max(stored) + 1


def test_rows_are_counted_whether_named_or_not(objects):
    log = FailureLog(objects)
    rows = [RowError(row, "ValueError", "bad") for row in range(6000)]
    for chunk in range(4):
        log.add("ValueError", "bad rows", chunk=chunk, rows=rows, total=7000)
    log.flush()
    (group,) = group_failures(read_failures(objects))
    assert (group.count, group.row_count) == (4, 28_000)
    assert len(group.rows) == MAX_ROWS
    assert log.kinds() == {"ValueError": 28_000}


@pytest.mark.parametrize("where", ["create", "create-staged", "create-done"])
def test_a_flush_that_failed_is_repeated_without_loss_or_repetition(objects, where):
    log = FailureLog(objects)
    failed: list[str] = []

    def hook(operation, key):
        if operation == where and not failed:
            failed.append(operation)
            raise OSError(28, "full")

    log.add("ValueError", "one", chunk=1)
    set_fault_hook(hook)
    with pytest.raises(StorageError):
        log.flush()
    assert failed == [where]
    log.add("ValueError", "two", chunk=2)
    log.flush()
    assert [failure.chunks for failure in read_failures(objects)] == [(1,), (2,)]
    assert FailureLog(objects).kinds() == {"ValueError": 2}


def test_two_drivers_do_not_overwrite_each_other(objects):
    old, new = FailureLog(objects, 1), FailureLog(objects, 2)
    new.add("New", "n")
    new.flush()
    old.add("Old", "o")
    old.flush()
    assert [failure.kind for failure in read_failures(objects)] == ["New", "Old"]


def test_damaged_failures_are_named(objects):
    log = FailureLog(objects)
    log.add("ValueError", "one")
    log.flush()
    key = numbered_key(FAILURES, 1)
    data = objects.get(key)
    for position in range(0, len(data), 7):
        broken = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        objects.put(key, broken, leased=False)
        with pytest.raises(DamagedLedger, match="failure segment 1"):
            list(read_failures(objects))


# --- rings ------------------------------------------------------------------------------------


def test_log_lines_come_back(objects, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "correct-horse")
    log = LogWriter(objects)
    log.add(1.0, "INFO", "driver", "hello")
    log.add(2.0, "WARN", "tcp://w", "correct-horse s3://me:pw@bucket/x?X-Amz-Signature=abc")
    log.flush()
    log.flush()
    lines = list(read_log(objects))
    assert [(line.time, line.level, line.worker) for line in lines] == [
        (1.0, "INFO", "driver"),
        (2.0, "WARN", "tcp://w"),
    ]
    for secret in ("correct-horse", "me:pw", "abc"):
        assert secret not in lines[1].message
    assert log.last_segment == 1


def test_a_ring_is_bounded_and_keeps_the_newest(objects):
    ring = RingWriter(objects, LOG, keep=3)
    for number in range(2000):
        ring.add_line({"n": number, "text": "x" * 1000})
        if number % 10 == 9:
            ring.flush()
    lines = [line["n"] for line in read_ring(objects, LOG)]
    assert lines == list(range(lines[0], 2000))
    assert len(ring_segments(objects, LOG)) <= 4
    assert sum(objects.version(key).size for key in objects.list(LOG + "/")) < 1.2e6


def test_a_new_session_begins_a_new_segment(objects):
    for session in range(3):
        log = LogWriter(objects)
        log.add(float(session), "INFO", "driver", "hello")
        log.flush()
        log.add(float(session), "INFO", "driver", "again")
        log.flush()
    assert ring_segments(objects, LOG) == [1, 2, 3]
    assert len(list(read_log(objects))) == 6
    assert len(list(read_log(objects, after=2))) == 2


def test_a_fenced_driver_cannot_overwrite_the_log(objects):
    old, new = LogWriter(objects), LogWriter(objects)
    new.add(1.0, "INFO", "driver", "new")
    new.flush()
    old.add(1.0, "INFO", "driver", "old")
    old.flush()
    assert sorted(line.message for line in read_log(objects)) == ["new", "old"]


def test_broken_lines_are_left_out(objects):
    objects.put(
        numbered_key(LOG, 1), b'{"t":1,"l":"I","w":"d","m":"x"}\n{"t":2\n[]\n', leased=False
    )
    assert [line.message for line in read_log(objects)] == ["x"]


def test_metrics_and_workers(objects):
    metrics = MetricsWriter(objects)
    metrics.add({"t": 1.0, "rows": 3})
    metrics.flush()
    assert list(read_metrics(objects)) == [{"t": 1.0, "rows": 3}]
    assert read_workers(objects) == (0.0, [])
    write_workers(objects, [{"index": 0, "rss": 5}], 7.0)
    assert read_workers(objects) == (7.0, [{"index": 0, "rss": 5}])
    objects.put("_run/workers.json", b"{", leased=False)
    assert read_workers(objects) == (0.0, [])
