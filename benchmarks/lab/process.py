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


@dataclass(frozen=True)
class Sample:
    """A look at a running command: seconds since its start, its own CPU seconds, resident bytes of
    its process and of its largest child."""

    when: float
    cpu: float
    resident: int
    children: int


@dataclass
class Ran:
    """A finished command.

    Attributes:
        began: When it was started, seconds since the epoch.
        wall: Seconds until it had exited.
        cpu: Seconds of user and system time of the process and all it started.
        peak: Largest resident size of any of them, bytes.
        samples: What was seen over time, if asked for.
    """

    exit_code: int
    out: str
    err: str
    began: float
    wall: float
    cpu: float
    peak: int
    samples: list[Sample] = field(default_factory=list)

    @property
    def own_cpu(self) -> float:
        """Seconds of user and system time of the process alone, as last seen."""
        return self.samples[-1].cpu if self.samples else self.cpu

    @property
    def own_peak(self) -> int:
        """Largest resident size that was seen of the process alone, bytes."""
        return max((sample.resident for sample in self.samples), default=self.peak)

    @property
    def children_peak(self) -> int:
        """Largest resident size that was seen of one of its children, bytes."""
        return max((sample.children for sample in self.samples), default=0)


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
        left_cpu, left_peak = _reap()
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
        cpu=usage.ru_utime + usage.ru_stime + left_cpu,
        peak=max(usage.ru_maxrss * 1024, left_peak),
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
        self.samples: list[Sample] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid, every), daemon=True)
        if every:
            self._thread.start()

    def _watch(self, pid: int, every: float) -> None:
        clock = time.perf_counter()
        while not self._done.wait(every):
            try:
                process = psutil.Process(pid)
                times = process.cpu_times()
                children = [_resident(child) for child in process.children(recursive=True)]
                seen = Sample(
                    time.perf_counter() - clock,
                    times.user + times.system,
                    process.memory_info().rss,
                    max(children, default=0),
                )
                if seen.resident:  # nothing is left of one that has just ended
                    self.samples.append(seen)
            except psutil.Error:
                return

    def stop(self) -> None:
        self._done.set()


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
