"""Nobody outside this machine can talk to a run."""

from __future__ import annotations

import numpy as np
import pytest

MODEL = """
import os
import numpy as np
import psutil

def f(x):
    open_to_all = 0
    for pid in (os.getpid(), os.getppid()):
        for connection in psutil.Process(pid).net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                open_to_all += not connection.laddr.ip.startswith("127.")
    return {"open_to_all": np.full(len(x), open_to_all)}
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_driver_and_workers_listen_on_loopback_alone(bench, workers):
    bench.data(np.zeros((64, 2), dtype="float32"))
    bench.model(MODEL)
    done = bench.predict(schedule__workers=workers)
    assert done.code == 0, done.err
    assert (bench.opened()["open_to_all"][:] == 0).all()
