"""Makes the store fail on purpose, at a counted operation, in one process. For tests.

A process that opens a run store reads these variables:

``FORETELL_TESTING_FAULT``
    ``op=put,n=17,do=kill``: what happens at the 17th ``put`` of the process. Parts, joined by
    commas, all but ``do`` optional:

    * ``op``: an operation of :func:`foretell.store.objects.set_fault_hook`, or ``any`` (default).
    * ``key``: a pattern of keys as in the shell, e.g. ``_run/ledger/*``; all keys by default.
    * ``n``: which of the matching operations, 1 for the first (default).
    * ``times``: how many from there on fail, 1 by default, 0 for all.
    * ``proc``: ``main`` (the driver, or any process not started by multiprocessing), ``child``
      (spawned workers) or ``any`` (default).
    * ``do``: ``kill`` (SIGKILL to itself), ``stop`` (SIGSTOP to itself), ``enospc``, ``edquot``,
      ``eio``, ``eacces``, ``erofs`` (that OSError), ``pause`` (wait until a file appears whose
      name is the mark's with ``.go`` added).

``FORETELL_TESTING_FAULT_MARK``
    A file written just before the fault happens, holding process, operation and key; its presence
    is the proof that the fault was met. While it exists no *other* process takes the fault, so
    that a worker started anew does not die again.

``FORETELL_TESTING_TRACE``
    A file to which every operation is appended as ``pid operation key``: count its lines to learn
    how many operations a run has.
"""

from __future__ import annotations

import errno
import fnmatch
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from foretell.errors import UsageError
from foretell.store.objects import FaultHook, set_fault_hook

_ERRORS = {
    "enospc": errno.ENOSPC,
    "edquot": errno.EDQUOT,
    "eio": errno.EIO,
    "eacces": errno.EACCES,
    "erofs": errno.EROFS,
}
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_PAUSE_POLL = 0.01


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """A fault, as ``FORETELL_TESTING_FAULT`` describes it."""

    do: str
    op: str = "any"
    key: str = "*"
    n: int = 1
    times: int = 1
    proc: str = "any"

    @classmethod
    def parse(cls, text: str) -> FaultSpec:
        """The fault that ``op=put,n=17,do=kill`` means.

        Raises:
            UsageError: something in it is unknown.
        """
        given = dict(part.partition("=")[::2] for part in text.split(","))
        numbers = {name: int(given.pop(name)) for name in ("n", "times") if name in given}
        unknown = set(given) - {"do", "op", "key", "proc"}
        known = {*_ERRORS, *_SIGNALS, "pause"}
        if unknown or given.get("do") not in known:
            raise UsageError("unknown fault to inject", facts=[("FORETELL_TESTING_FAULT", text)])
        return cls(**given, **numbers)  # type: ignore[arg-type]

    def here(self) -> bool:
        """Whether this process is one that the fault is for."""
        child = multiprocessing.parent_process() is not None
        return self.proc in ("any", "child" if child else "main")

    def matches(self, operation: str, key: str) -> bool:
        """Whether an operation is one of those counted."""
        return self.op in ("any", operation) and fnmatch.fnmatchcase(key, self.key)


class Injector:
    """Counts operations and makes the chosen one fail; usable as a fault hook."""

    def __init__(self, fault: FaultSpec | None, mark: str = "", trace: str = "") -> None:
        self.fault = fault
        self.count = 0
        self._mark = mark
        self._trace = trace
        self._mine = False
        self._lock = threading.Lock()

    def __call__(self, operation: str, key: str) -> None:
        if self._trace:
            _append(self._trace, f"{os.getpid()} {operation} {key}\n")
        fault = self.fault
        if fault is None or not fault.matches(operation, key):
            return
        with self._lock:
            self.count += 1
            past = self.count - fault.n
            due = past >= 0 and (fault.times == 0 or past < fault.times)
            if not (due and self._claim(operation, key)):
                return
        self._happen(fault.do)

    def _claim(self, operation: str, key: str) -> bool:
        if not self._mark or self._mine:
            return True
        try:
            descriptor = os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        os.write(descriptor, f"{os.getpid()} {operation} {key}\n".encode())
        os.close(descriptor)
        self._mine = True
        return True

    def _happen(self, do: str) -> None:
        if do in _SIGNALS:
            # To this very thread: another would take a stop later, and this one go on till then.
            signal.pthread_kill(threading.get_ident(), _SIGNALS[do])
        elif do == "pause":
            while not os.path.exists(self._mark + ".go"):
                time.sleep(_PAUSE_POLL)
        else:
            raise OSError(_ERRORS[do], os.strerror(_ERRORS[do]) + " (injected)")


_installed: tuple[str, ...] | None = None


def install_from_environment(environ: Mapping[str, str] = os.environ) -> FaultHook | None:
    """Install the fault the environment asks for; once for each setting of it in a process."""
    global _installed
    names = ("FORETELL_TESTING_FAULT", "FORETELL_TESTING_FAULT_MARK", "FORETELL_TESTING_TRACE")
    text, mark, trace = settings = tuple(environ.get(name, "") for name in names)
    if settings == _installed:
        return None
    fault = FaultSpec.parse(text) if text else None
    injector = Injector(fault if fault is not None and fault.here() else None, mark, trace)
    set_fault_hook(injector)
    _installed = settings
    return injector


def _append(path: str, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
