"""Runs commands in processes forked from one that has imported everything.

A chaos loop starts hundreds of drivers; the second that each of them would spend on imports is
spent once here. A forked process runs the same ``main`` as the command does, exits through the same
interpreter shutdown, and is killed, stopped and waited for like any other process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import Finished, Workbench

PREFIX = [sys.executable, "-m", "foretell"]
SERVER = Path(__file__).with_name("forkserver.py")


class ForkedProcess:
    """One forked command, with the part of ``Popen`` that tests use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def ended(self, status: int) -> None:
        """Called once, with what ``waitpid`` returned."""
        self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()

    def poll(self) -> int | None:
        return self.returncode if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("forked command", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forks:
    """The process that others are forked from, and those that were."""

    def __init__(self, preload: str = "") -> None:
        command = [sys.executable, str(SERVER), preload]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._known: dict[int, ForkedProcess] = {}
        self._answers: list[ForkedProcess] = []
        self._answered = threading.Condition()
        self._asking = threading.Lock()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(
        self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], out: Path, err: Path
    ) -> ForkedProcess:
        """Fork a command; its streams are appended to two files."""
        request = {
            "arguments": list(arguments),
            "cwd": str(cwd),
            "env": dict(env),
            "out": str(out),
            "err": str(err),
        }
        assert self._server.stdin is not None
        with self._asking:
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
            self._server.stdin.flush()
            with self._answered:
                assert self._answered.wait_for(lambda: self._answers, timeout=120), "no fork"
                return self._answers.pop()

    def _listen(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            said = json.loads(line)
            if "status" in said:
                self._known.pop(said["pid"]).ended(said["status"])
                continue
            process = self._known[said["pid"]] = ForkedProcess(said["pid"])
            with self._answered:
                self._answers.append(process)
                self._answered.notify()

    def close(self) -> None:
        for process in list(self._known.values()):
            process.kill()
        self._server.kill()
        self._server.wait()
        for pipe in (self._server.stdin, self._server.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._listener.join(timeout=10)


@dataclass(frozen=True)
class ForkBench(Workbench):
    """A workbench whose commands are forked."""

    forks: Forks | None = field(default=None, kw_only=True)
    extra_env: dict[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def env(self) -> dict[str, str]:
        return super().env | self.extra_env

    def forked(self, command: Sequence[str], out: Path, err: Path) -> ForkedProcess:
        assert self.forks is not None
        assert list(command[: len(PREFIX)]) == PREFIX
        return self.forks.start(command[len(PREFIX) :], self.folder, self.env, out, err)

    def start(self, command: Sequence[str]) -> Any:
        messages = self.folder / "messages.txt"
        return self.forked(command, messages, messages)

    def run(self, command: Sequence[str], timeout: float = 240) -> Finished:
        out, err = self.folder / "out.txt", self.folder / "err.txt"
        for stream in (out, err):
            stream.write_bytes(b"")
        process = self.forked(command, out, err)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Finished(code, out.read_text(), err.read_text())
