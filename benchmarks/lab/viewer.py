"""``sdk watch`` in a terminal that nobody looks at."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import psutil

from lab import place
from lab.process import environment


class Viewer:
    """``sdk watch`` in a terminal of 120 x 36 that nobody looks at."""

    def __init__(self, store, *options):
        self.began = time.perf_counter()
        self.handle, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        words = place.python("-m", "foretell", "watch", str(store), *options)
        env = environment(TERM="xterm-256color")
        self.process = subprocess.Popen(
            words, stdin=inner, stdout=inner, stderr=inner, env=env, start_new_session=True
        )
        os.close(inner)
        self.seen = b""

    def read(self, seconds):
        """What it wrote within so many seconds."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.handle], [], [], left)[0]:
                try:
                    self.seen += os.read(self.handle, 65536)
                except OSError:  # nobody is at the other end any more
                    return False
                return True
        return False

    def wait(self, text, seconds=60):
        """Seconds from the start until it showed a text."""
        while text not in self.seen:
            assert self.read(seconds), f"never showed {text!r}"
        return time.perf_counter() - self.began

    def stay(self, seconds):
        """Let it run, its output read."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def press(self, key, seconds=30):
        """Seconds from a key to the first byte it painted."""
        self.stay(0.25)
        clock = time.perf_counter()
        os.write(self.handle, key.encode())
        assert self.read(seconds), f"{key!r} painted nothing"
        return time.perf_counter() - clock

    def cost(self):
        """CPU seconds so far, resident bytes now."""
        process = psutil.Process(self.process.pid)
        return sum(process.cpu_times()[:2]), process.memory_info().rss

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None:
            self.read(0.1)
        os.close(self.handle)
