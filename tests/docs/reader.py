"""Somebody who reads a page and does what it says, in a folder of their own."""

from __future__ import annotations

import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from pages import Step, commands, missing

PATIENCE = 240.0
"""Seconds for one command. Far more than any needs on an idle machine."""

_INTERPRETER = """
import json, sys, traceback
space = {"__name__": "__main__"}
for line in sys.stdin:
    ok = True
    try:
        exec(compile(json.loads(line), "<page>", "exec"), space)
    except BaseException:
        ok = False
        traceback.print_exc()
    sys.stdout.flush(); sys.stderr.flush()
    print("\\x1e", int(ok), flush=True)
"""


class Talk:
    """A process that is told things and answers up to a mark."""

    def __init__(self, command: list[str], folder: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def tell(self, text: str) -> None:
        """Send text."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def answer(self) -> tuple[str, int]:
        """What was printed up to the mark, and the number after it."""
        printed = ""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, f"the process ended:\n{printed}"
            before, mark, after = line.partition("\x1e")
            printed += before
            if mark:
                return printed, int(after)

    def end(self) -> None:
        """End the process and everything it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self._listener.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait()


class Reader:
    """Does the steps of a page.

    Args:
        folder: Where.
        env: The environment.
    """

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.shell = Talk(["bash", "--noprofile", "--norc"], folder, env)
        self._python: Talk | None = None

    def do(self, step: Step) -> None:
        """One step; fails where something does not go as the page says."""
        place = f"line {step.line}"
        if step.kind == "save":
            path = self._here() / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
        elif step.kind == "run":
            self._run(step, place)
        elif step.kind == "interrupt":
            self._interrupt(step, place)
        else:
            self._type(step, place)

    def _type(self, step: Step, place: str) -> None:
        typed = commands(step)
        for at, (command, expected) in enumerate(typed):
            printed, code = self._shell(command)
            asked = at + 1 < len(typed) and typed[at + 1][0] == "echo $?"
            assert asked or code == 0, f"{place}: {command!r} ended with {code}:\n{printed}"
            self._check(place, command, expected, printed)

    def _shell(self, command: str) -> tuple[str, int]:
        # The exit code stays in $? for a command that asks for it.
        self.shell.tell(f"{command}\n__code=$?; printf '\\036 %d\\n' $__code; (exit $__code)\n")
        return self.shell.answer()

    def _here(self) -> Path:
        return Path(self._shell("pwd")[0].strip())

    def _run(self, step: Step, place: str) -> None:
        if self._python is None:
            here = self._here()
            self._python = Talk([sys.executable, "-c", _INTERPRETER], here, self.env)
        self._python.tell(json.dumps(step.text) + "\n")
        printed, ok = self._python.answer()
        assert ok, f"{place}: {printed}"
        self._check(place, "python", list(step.output), printed)

    def _interrupt(self, step: Step, place: str) -> None:
        """Type a command and press Ctrl-C when some of its work is done."""
        ((command, expected),) = commands(step)[:1]
        words = shlex.split(command)
        store = self._here() / words[words.index("--output") + 1]
        process = subprocess.Popen(
            words,
            cwd=self._here(),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        end = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < end:
            if _done(store) >= 1:
                process.send_signal(signal.SIGINT)
                break
            time.sleep(0.05)
        printed, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 75, f"{place}: ended with {process.returncode}:\n{printed}"
        self._check(place, command, expected, printed)

    @staticmethod
    def _check(place: str, what: str, expected: list[str], printed: str) -> None:
        lost = missing(expected, printed)
        assert lost is None, f"{place}: {what!r} does not print\n{lost}\nbut\n{printed}"

    def end(self) -> None:
        """Leave nothing running."""
        self.shell.end()
        if self._python is not None:
            self._python.end()


def _done(store: Path) -> int:
    from foretell.store.head import read_head
    from foretell.store.open import open_objects

    head = read_head(open_objects(str(store)))
    return 0 if head is None else head.totals.done
