"""The process that commands are forked from; see ``forks.py``. Started as a script."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import select
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LAZY = (
    *("distributed.http.scheduler.info", "distributed.http.worker.prometheus", "faulthandler"),
    *("numpy.ma", "obstore", "threadpoolctl", "tornado.platform.asyncio", "zarr.codecs"),
)
"""What a run imports when it needs it."""


def serve() -> list[str]:
    """Fork at every request; returns in the forked processes only, with their arguments."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    buffered = b""
    while True:
        ready, _, _ = select.select([0, readable], [], [])
        if readable in ready:
            os.read(readable, 4096)
            _reap()
        if 0 in ready:
            found = os.read(0, 1 << 20)
            if not found:
                os._exit(0)
            *lines, buffered = (buffered + found).split(b"\n")
            for line in lines:
                request = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(readable)
                    os.close(writable)
                    return _become(request)
                _say({"pid": pid})


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _say({"pid": pid, "status": status})


def _say(what: Mapping[str, int]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _become(request: dict[str, Any]) -> list[str]:
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for descriptor, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, request["err"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        handle = os.open(name, flags, 0o666)
        os.dup2(handle, descriptor)
        os.close(handle)
    arguments: list[str] = request["arguments"]
    sys.argv = ["sdk", *arguments]
    return arguments


def _import_everything() -> None:
    import foretell

    for module in pkgutil.walk_packages(foretell.__path__, "foretell."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LAZY:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a process with threads must not be forked"


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: the command knows nothing of it
    _import_everything()
    if sys.argv[1]:
        # Protections are taken away here, for the processes that are to be caught without them.
        exec(Path(sys.argv[1]).read_text())
    from foretell.cli.app import run

    sys.exit(run(serve()))
