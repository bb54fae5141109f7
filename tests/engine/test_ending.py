"""How a run ends before its work does: signals, walltime, cancel, and how it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
from workbench import Workbench

GATED = """
import os, time
def f(x):
    while not os.path.exists("open") and x[0, 0] >= 512:
        time.sleep(0.01)
    return {"y": x.sum(1)}
"""


def prepare(bench: Workbench, model: str = GATED) -> None:
    """Eight chunks; those from the fifth on wait until the file ``open`` is there."""
    bench.data(np.arange(1024, dtype="float32").reshape(512, 2))
    bench.model(model)


def wait_for(bench: Workbench, driver: subprocess.Popen[bytes], done: int) -> None:
    """Wait until the head says that so many chunks are done."""
    import time

    while True:
        assert driver.poll() is None, (bench.folder / "messages.txt").read_text()
        if bench.store.exists() and (bench.store / "_run" / "head.json").exists():
            head = bench.opened().head
            if head is not None and head.totals.done >= done:
                return
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_drains_and_the_run_goes_on_later(bench, number, workers):
    prepare(bench)
    driver = bench.start(bench.predict_command(schedule__workers=workers))
    wait_for(bench, driver, 2)
    driver.send_signal(number)
    (bench.folder / "open").touch()
    assert driver.wait(timeout=120) == 75, (bench.folder / "messages.txt").read_text()
    run = bench.opened()
    assert run.status().state == "interrupted"
    assert run.status().totals.done >= 2
    resumed = bench.sdk("resume", str(bench.store))
    assert resumed.code == 0, resumed.err
    assert (bench.opened()["y"][:] == np.arange(1024).reshape(512, 2).sum(1)).all()
    bench.verified()
    bench.nobody_left()


def test_a_second_interrupt_ends_at_once(bench):
    prepare(bench)
    driver = bench.start(bench.predict_command(schedule__workers=1))
    wait_for(bench, driver, 2)
    driver.send_signal(signal.SIGINT)
    wait_for_state(bench, "draining")
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=60) == 130
    (bench.folder / "open").touch()
    assert bench.predict(schedule__workers=1).code == 0
    bench.verified()
    bench.nobody_left()


def wait_for_state(bench: Workbench, state: str) -> None:
    import time

    while (head := bench.opened().head) is None or head.state != state:
        time.sleep(0.02)


def test_a_drain_that_takes_too_long_is_cut(bench):
    prepare(bench)
    driver = bench.start(bench.predict_command(schedule__workers=1, schedule__drain="1s"))
    wait_for(bench, driver, 2)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=120) == 75  # although the gate never opened
    assert bench.opened().status().state == "interrupted"
    bench.nobody_left()


def test_the_walltime_drains_before_it_is_over(bench):
    prepare(bench, "import time\ndef f(x):\n    time.sleep(0.5)\n    return {'y': x.sum(1)}\n")
    done = bench.predict(schedule__workers=0, schedule__walltime="3s")
    assert done.code == 75, done.err
    assert "walltime" in bench.opened().status().head.reason
    assert bench.predict(schedule__workers=0, schedule__walltime="10m").code == 0


def test_cancel_from_another_terminal(bench):
    prepare(bench)
    driver = bench.start(bench.predict_command(schedule__workers=1))
    wait_for(bench, driver, 2)
    asked = bench.sdk("cancel", str(bench.store))
    assert asked.code == 0, asked.err
    wait_for_state(bench, "draining")
    (bench.folder / "open").touch()
    assert driver.wait(timeout=120) == 75
    assert bench.opened().status().state == "cancelled"
    assert bench.sdk("resume", str(bench.store)).code == 0


def test_a_finished_run_started_again_predicts_nothing_and_changes_nothing(bench):
    prepare(bench)
    (bench.folder / "open").touch()
    assert bench.predict().code == 0
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in bench.store.rglob("*")
        if path.is_file()
    }
    again = bench.predict()
    assert again.code == 0, again.err
    after = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in bench.store.rglob("*")
        if path.is_file()
    }
    assert before == after


def test_what_a_model_prints_is_in_the_log_and_not_on_stdout(bench):
    prepare(
        bench,
        "import sys\ndef f(x):\n    print('hello from the model', flush=True)\n"
        "    return {'y': x.sum(1)}\n",
    )
    done = bench.predict(schedule__workers=1)
    assert done.code == 0
    assert done.out.strip() == str(bench.store) or "hello" not in done.out
    assert "hello" not in done.err
    assert "hello from the model" in bench.sdk("logs", str(bench.store)).out


def test_a_script_without_a_guard_can_predict_in_process(bench):
    prepare(bench)
    (bench.folder / "script.py").write_text(
        "import numpy as np, foretell\n"
        "x = np.arange(300.0).reshape(100, 3)\n"
        "run = foretell.predict(lambda b: {'y': b.sum(1)}, x, 'live.zarr', batch_size=10)\n"
        "assert np.allclose(run['y'][:], x.sum(1))\n"
        "print(run.status().state)\n"
    )
    done = bench.run([sys.executable, "script.py"])
    assert (done.code, done.out) == (0, "done\n"), done.err
    refused = bench.sdk("resume", "live.zarr")
    assert refused.code == 4
    assert "live Python objects" in refused.err
