"""The dashboard in a real terminal, under tmux: it starts, answers, and puts things back."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

PROMPT = "ready>"


class Terminal:
    """One tmux session with a shell in it."""

    def __init__(self, folder, width, height, **environment):
        self.name = f"watch-{os.getpid()}-{width}"
        self.socket = str(folder / "tmux")
        env = {**os.environ, **environment, "PS1": f"{PROMPT} ", "TMUX": ""}
        self._tmux("new-session", "-d", "-s", self.name, "-x", str(width), "-y", str(height),
                   "bash", "--norc", "--noprofile", env=env)  # fmt: skip

    def _tmux(self, *words, env=None, check=True):
        command = ["tmux", "-f", "/dev/null", "-S", self.socket, *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=check)
        return done.stdout

    def type(self, *keys):
        self._tmux("send-keys", "-t", self.name, *keys)

    def screen(self, *options):
        return self._tmux("capture-pane", "-p", *options, "-t", self.name)

    def wait(self, wanted, seconds=60):
        end = time.monotonic() + seconds
        while wanted not in (shown := self.screen()):
            assert time.monotonic() < end, f"no {wanted!r} in:\n{shown}"
            time.sleep(0.1)
        return shown

    def close(self):
        self._tmux("kill-server", check=False)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36)])
def test_a_real_terminal(runs, tmp_path, width, height):
    plain = {"TERM": "xterm", "NO_COLOR": "1", "LANG": "C", "LC_ALL": "", "LC_CTYPE": ""}
    terminal = Terminal(tmp_path, width, height)
    try:
        terminal.wait(PROMPT)
        words = " ".join(f"{name}={value}" for name, value in plain.items())
        store = runs["running"].objects.path
        terminal.type(f"{words} {sys.executable} -m foretell watch {store}", "Enter")
        shown = terminal.wait("Chunk map")
        assert "of 2,000 chunks" in shown
        assert shown.isascii()
        assert len(shown.splitlines()) <= height
        for key, wanted in (("4", "RuntimeError"), ("6", "level >="), ("?", "Everywhere"),
                            ("Escape", "level >="), ("1", "Chunk map")):  # fmt: skip
            terminal.type(key)
            terminal.wait(wanted)
        terminal.type("q")
        shown = terminal.wait(PROMPT)
        assert "Chunk map" not in shown
        terminal.type("echo still $((40+2))", "Enter")
        terminal.wait("still 42")
    finally:
        terminal.close()


COLOURS = {"done": "32", "running": "96", "partly": "34", "failed": "91", "pending": "90"}
"""Colour codes of states on a dark terminal of sixteen colours."""


def test_sixteen_colours(runs, tmp_path):
    terminal = Terminal(tmp_path, 100, 30)
    try:
        terminal.wait(PROMPT)
        store = runs["running"].objects.path
        words = "COLORTERM= COLORFGBG= TERM=xterm"
        terminal.type(
            f"env -u NO_COLOR {words} {sys.executable} -m foretell watch {store}", "Enter"
        )
        terminal.wait("quarantined")
        shown = terminal.screen("-e")
        codes = re.findall(r"\x1b\[([\d;]*)m", shown)
        assert not [code for code in codes if "38;" in code or "48;" in code]
        legend = next(line for line in shown.splitlines() if "quarantined" in line)
        for state, colour in COLOURS.items():
            before = legend[: legend.index(f" {state}")]
            assert colour in re.findall(r"\x1b\[([\d;]*)m", before)[-2].split(";"), (state, legend)
        picture = "".join(shown.splitlines()[6:16])
        assert {"32", "96", "91", "90"} <= set(";".join(re.findall(
            r"\x1b\[([\d;]*)m", picture)).split(";"))  # fmt: skip
        terminal.type("q")
        terminal.wait(PROMPT)
    finally:
        terminal.close()
