"""Who is who: recognises a process again, even when its pid has been used for another one."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_EPOCH_TIMES = 1e9
_CLOCK_SLACK = 2.0


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, for good.

    Attributes:
        host: Name of its host.
        boot_id: Of that host's boot, and of the pid namespace where the system has such a thing.
        pid: Process id.
        pid_started: When it started, by :func:`process_started`.
    """

    host: str
    boot_id: str
    pid: int
    pid_started: float


def host_name() -> str:
    """Name of this host."""
    return socket.gethostname()


def boot_id() -> str:
    """Identifies this boot of this host, and this pid namespace: pids mean something only there."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        import psutil

        return f"{psutil.boot_time():.0f}"


def process_started(pid: int) -> float | None:
    """When process ``pid`` of this host started, None when there is none (a zombie is none).

    Seconds since boot where the system says so, which no change of the clock can alter; else
    since the epoch. Compare for equality only, within one boot.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None if os.path.exists("/proc/self/stat") else _started_elsewhere(pid)
    # The name in parentheses may hold anything, so count from its end.
    state, *rest = text.rpartition(")")[2].split()
    return None if state in "ZXx" else int(rest[18]) / os.sysconf("SC_CLK_TCK")


def is_alive(pid: int, started: float) -> bool:
    """Whether that very process of this host and boot is alive.

    Args:
        pid: Process id.
        started: Its start time as recorded: by :func:`process_started`, or by psutil, whose times
            are since the epoch and move a little when the clock is set.
    """
    found = process_started(pid)
    if found is None or found == started:
        return found is not None
    if started < _EPOCH_TIMES:
        return False
    import psutil

    try:
        return abs(psutil.Process(pid).create_time() - started) < _CLOCK_SLACK
    except psutil.NoSuchProcess:
        return False


def same_boot(one: str, other: str) -> bool | None:
    """Whether two boot ids are of one boot; None when only the pid namespaces differ."""
    if one == other:
        return True
    return None if one.partition("/")[0] == other.partition("/")[0] else False


def this_process() -> ProcessIdentity:
    """The calling process."""
    pid = os.getpid()
    return ProcessIdentity(host_name(), boot_id(), pid, process_started(pid) or 0.0)


def _started_elsewhere(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
