"""The clock of a peer: from the first read to the last byte; start-up and one batch before it."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import contextmanager


def arguments(**defaults):
    """Command line of a peer: a source, an output, a batch size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--batch", type=int, default=defaults.get("batch", 4096))
    parser.add_argument("--rows", action="store_true")
    parser.add_argument("--threads", type=int, default=defaults.get("threads", 0))
    return parser.parse_args()


@contextmanager
def job():
    """Time what is inside and print it as the last line."""
    began, clock = time.time(), time.perf_counter()
    yield
    print(json.dumps({"seconds": time.perf_counter() - clock, "began": began}), flush=True)
