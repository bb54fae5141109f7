"""``sdk predict`` with experts: right rows, whatever happens to the workers that hold them."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

MODEL = """
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn


class Times(nn.Module):
    '''Multiplies; may end its process, hang, or raise when it meets a row, the first time only.'''

    def __init__(self, by, die_at=None, hang_at=None, raise_at=None, marker=""):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(float(by)))
        self.at = {"die": die_at, "hang": hang_at, "raise": raise_at}
        self.marker = marker

    def forward(self, x):
        rows = x[:, 1]
        if self.at["raise"] is not None and (rows == self.at["raise"]).any():
            raise ValueError("this row is bad")
        for what in ("die", "hang"):
            at = self.at[what]
            if at is not None and (rows == at).any() and not Path(self.marker).exists():
                Path(self.marker).touch()
                if what == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(3.0)
        return {"y": x[:, :1] * self.by}


def two(x, count):
    row = x[:, 1].astype(int)
    return np.stack([row % count, (row + 1) % count], 1), np.tile([0.75, 0.25], (len(x), 1))
"""


def data(count: int) -> np.ndarray:
    """Column 0: a value; column 1: the row's number."""
    rows = np.arange(count, dtype=np.float32)
    return np.stack([rows / 7 + 1, rows], axis=1)


def job(experts: list[dict[str, Any]], predictor: str = "", more: str = "") -> str:
    """A job file."""
    tables = ""
    for expert in experts:
        options = ", ".join(f"{key} = {value!r}" for key, value in expert["options"].items())
        tables += (
            "[[predictor.experts]]\n"
            f"name = '{expert['name']}'\nmodel = 'model.py:Times'\noptions = {{ {options} }}\n"
            + "".join(f"{key} = {expert[key]}\n" for key in ("memory",) if key in expert)
        )
    return f"""version = 1
[source]
kind = "npy"
path = "x.npy"
[predictor]
kind = "experts"
batch_size = 64
{predictor}
{tables}
[predictor.router]
function = "model.py:two"
options = {{ count = {len(experts)} }}
[writer]
kind = "zarr"
path = "out.zarr"
{more}
"""


def many(count: int, **special: dict[str, Any]) -> list[dict[str, Any]]:
    """Experts e0, e1 …, which multiply by 1, 2 …; some with more options."""
    return [
        {"name": f"e{n}", "options": {"by": n + 1, **special.get(f"e{n}", {})}}
        for n in range(count)
    ]


def expected(rows: np.ndarray, count: int) -> np.ndarray:
    number = rows[:, 1].astype(int)
    factor = 0.75 * (number % count + 1) + 0.25 * ((number + 1) % count + 1)
    result: np.ndarray = rows[:, :1] * factor[:, None]
    return result


def prepare(bench: Any, count: int, text: str) -> np.ndarray:
    rows = data(count)
    bench.data(rows)
    (bench.folder / "model.py").write_text(MODEL)
    (bench.folder / "job.toml").write_text(text)
    return rows


def predict(bench: Any, *more: str) -> Any:
    return bench.run(bench.command("predict", str(bench.folder / "job.toml"), *more, sets={}))


def pools(bench: Any) -> dict[str, Any]:
    """Statistics of every expert, as ``sdk status --json`` shows them."""
    found: dict[str, Any] = {}
    for worker in bench.json("status", str(bench.store))["workers"]:
        found |= worker["deployment"].get("pools", {})
    return found


def test_eight_experts_over_two_workers_one_of_which_is_killed(bench):
    marker = bench.folder / "died"
    count, rows_count = 8, 20_000
    text = job(
        many(count, e3={"die_at": 10_003, "marker": str(marker)}),
        more="[schedule]\nworkers = 2\nchunk = 512\n",
    )
    rows = prepare(bench, rows_count, text)
    done = predict(bench)
    assert done.code == 0, done.err
    assert marker.exists()
    run = bench.opened()
    np.testing.assert_allclose(run["y"][:], expected(rows, count), rtol=1e-6)
    number = np.arange(rows_count)
    wanted = np.stack([number % count, (number + 1) % count], axis=1)
    np.testing.assert_array_equal(run["experts"][:], wanted)
    logs = bench.sdk("logs", str(bench.store)).out
    back = re.search(r"service e3 runs again, ([0-9.]+) s after on tcp://", logs)
    assert back is not None, logs
    print(f"e3 was back {back[1]} s after its worker was killed")
    assert {pool for pool in pools(bench) if pool.startswith("e")} <= {f"e{n}" for n in range(8)}
    bench.verified()


def test_fixed_batching_gives_the_same_bytes_however_it_was_interrupted(bench):
    text = job(many(3), more="[schedule]\nworkers = 1\nchunk = 64\n[deployer]\n")
    text += 'kind = "experts"\nbatching = "fixed"\n'
    rows = prepare(bench, 3000, text)
    assert predict(bench).code == 0
    whole = bench.outputs()
    os.rename(bench.store, bench.folder / "whole.zarr")
    process = bench.start(bench.command("predict", str(bench.folder / "job.toml"), sets={}))
    until = time.monotonic() + 60
    ledger = bench.store / "_run" / "ledger"
    while not (ledger.exists() and len(list(ledger.iterdir())) > 1):
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert predict(bench).code == 0
    np.testing.assert_allclose(bench.opened()["y"][:], expected(rows, 3), rtol=1e-6)
    assert bench.outputs() == whole
    bench.verified()


def test_a_bad_row_is_quarantined_alone(bench):
    text = job(many(2, e1={"raise_at": 301}), more="[schedule]\nchunk = 128\n")
    rows = prepare(bench, 500, text)
    done = predict(bench)
    assert done.code == 3, done.err
    run = bench.opened()
    good = np.arange(500) != 301
    np.testing.assert_array_equal(run.valid[:] == 1, good)
    np.testing.assert_allclose(run["y"].filled()[:][good], expected(rows, 2)[good], rtol=1e-6)
    failures = bench.sdk("failures", str(bench.store)).out
    assert "this row is bad" in failures


def test_with_k_min_a_row_goes_on_with_the_experts_that_answered(bench):
    text = job(many(2, e1={"raise_at": 301}), "k_min = 1", more="[schedule]\nchunk = 128\n")
    rows = prepare(bench, 500, text)
    done = predict(bench)
    assert done.code == 0, done.err
    run = bench.opened()
    wanted = expected(rows, 2)
    wanted[301] = rows[301, 0] * 1  # row 301: e1 raised, so all the weight is e0's
    np.testing.assert_allclose(run["y"][:], wanted, rtol=1e-6)
    assert run["experts"][301].tolist() == [-1, 0]
    assert (np.delete(run["experts"][:], 301, axis=0) >= 0).all()
    bench.verified()


def test_an_expert_that_hangs_is_left_behind(bench):
    marker = bench.folder / "hung"
    text = job(
        many(2, e1={"hang_at": 300, "marker": str(marker)}),
        "k_min = 1\ntimeout = 1.0\ntimeout_after_k_min = 0.2\n",
        more="[schedule]\nchunk = 128\n",
    )
    rows = prepare(bench, 640, text)
    done = predict(bench)
    assert done.code == 0, done.err
    assert marker.exists()
    run = bench.opened()
    answered = run["experts"][:]
    short = (answered < 0).any(axis=1)
    assert short[300]
    assert (answered[short] == 0).any(axis=1).all()  # by e0 alone
    wanted = expected(rows, 2)
    wanted[short] = rows[short, :1]
    np.testing.assert_allclose(run["y"][:], wanted, rtol=1e-6)


def test_experts_that_do_not_fit_are_refused(bench):
    experts = many(2)
    for expert in experts:
        expert["memory"] = 600
    text = job(experts, more='[schedule]\nworkers = 1\n[deployer]\nkind = "experts"\n')
    prepare(bench, 100, text + "memory_budget = 1000\n")
    done = predict(bench)
    assert done.code == 4, done.err
    assert "no worker has room for service" in done.err
    (bench.folder / "job.toml").write_text(text + "memory_budget = 500\n")
    done = predict(bench)
    assert done.code == 2, done.err
    assert "does not fit into a worker's budget" in done.err


def test_statistics_are_in_the_record(bench):
    prepare(bench, 1000, job(many(2), more="[schedule]\nchunk = 64\n"))
    assert predict(bench).code == 0
    found = pools(bench)
    assert set(found) == {"e0", "e1"}
    assert sum(pool["rows"] for pool in found.values()) >= 2000
    for pool in found.values():
        assert pool["queue_tasks"] == 0
        assert pool["wait_ms"]["p50"] >= 0


def test_in_python_and_as_a_stream(bench, monkeypatch):
    import foretell

    rows = prepare(bench, 100, "")
    monkeypatch.chdir(bench.folder)
    settings: dict[str, Any] = {
        "kind": "experts",
        "batch_size": 16,
        "experts": [
            {"name": e["name"], "model": "model.py:Times", "options": e["options"]} for e in many(2)
        ],
        "router": {"function": "model.py:two", "options": {"count": 2}},
    }
    run = foretell.predict(
        None, rows, str(bench.store), predictor=settings, schedule={"workers": 0}
    )
    np.testing.assert_allclose(run["y"][:], expected(rows, 2), rtol=1e-6)
    del settings["batch_size"]
    streamed = list(foretell.stream(iter(rows), model=None, batch_size=16, predictor=settings))
    np.testing.assert_allclose(
        [item["y"] for item in streamed if item], expected(rows, 2), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("k_min = 3", "predictor.k_min asks for more experts than there are"),
        ("model = 'model.py:Times'", "a mixture has no single model"),
        ("checkpont = 'x'", "unknown key"),
    ],
)
def test_settings_that_make_no_sense_are_refused(bench, change, message):
    prepare(bench, 10, job(many(2), change))
    done = predict(bench)
    assert done.code == 2, done.err
    assert message in done.err
    assert not Path(bench.store).exists()
