"""Runs a command and learns what it really cost, its orphans included."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

HERE = Path(__file__).parent.parent
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Ran:
    """A finished command.

    Attributes:
        began: When it was started, seconds since the epoch.
        wall: Seconds until it had exited.
        cpu, cpu_others: Seconds of user and system time: of the process itself, and of processes it
            left behind or did not wait for (a worker that dies with its driver is one).
        peak, peak_others: Largest resident size in bytes: of the process, and of any other.
        samples: (seconds, resident bytes of the process, of its children) over time, if asked for.
    """

    exit_code: int
    out: str
    err: str
    began: float
    wall: float
    cpu: float
    cpu_others: float
    peak: int
    peak_others: int
    samples: list[tuple[float, int, int]] = field(default_factory=list)


class Failed(RuntimeError):
    """A contender did not finish."""


def environment(**extra: str) -> dict[str, str]:
    """The environment of every contender: compiled modules are kept, as they are once installed."""
    env = {**os.environ, **extra}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir()) / "foretell-bench-pyc"))
    parts = [str(HERE), str(HERE / "plugin"), env.get("PYTHONPATH", "")]
    env["PYTHONPATH"] = os.pathsep.join(part for part in parts if part)
    return env


def run(
    command: list[str],
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    sample: float = 0.0,
    timeout: float = 3600.0,
) -> Ran:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        env: Environment, :func:`environment` by default.
        cwd: Where.
        sample: Seconds between memory samples, 0 for none.
        timeout: Seconds after which it is killed.

    Raises:
        Failed: it exited with another code than 0.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command, env=env or environment(), cwd=cwd, stdout=out, stderr=err
        )
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        sampler = _Sampler(process.pid, sample)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            killer.cancel()
        wall = time.perf_counter() - clock
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu_others, peak_others = _reap()
        sampler.stop()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    ran = Ran(
        exit_code=process.returncode,
        out=texts[0],
        err=texts[1],
        began=began,
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        cpu_others=cpu_others,
        peak=usage.ru_maxrss * 1024,
        peak_others=peak_others,
        samples=sampler.samples,
    )
    if ran.exit_code:
        tail = "\n".join((ran.out + ran.err).strip().splitlines()[-15:])
        raise Failed(f"{' '.join(command)}\nexit {ran.exit_code}\n{tail}")
    return ran


def _reap() -> tuple[float, int]:
    """Wait for the processes the command left behind, end those that stay."""
    cpu, peak = 0.0, 0
    deadline = time.monotonic() + 10.0
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return cpu, peak
        if pid:
            cpu += usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss * 1024)
            continue
        if time.monotonic() > deadline:
            for child in psutil.Process().children():
                child.send_signal(signal.SIGKILL)
        time.sleep(0.01)


class _Sampler:
    def __init__(self, pid: int, every: float) -> None:
        self.samples: list[tuple[float, int, int]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid, every), daemon=True)
        if every:
            self._thread.start()

    def _watch(self, pid: int, every: float) -> None:
        clock = time.perf_counter()
        while not self._done.wait(every):
            try:
                process = psutil.Process(pid)
                children = [_resident(child) for child in process.children(recursive=True)]
                self.samples.append(
                    (time.perf_counter() - clock, _resident(process), max(children, default=0))
                )
            except psutil.Error:
                return

    def stop(self) -> None:
        self._done.set()


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
