"""Runs of the command over small data, and what is left of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import foretell
import numpy as np

FAKES = Path(__file__).parent / "fakes"
BYTECODE = Path(tempfile.gettempdir()) / f"foretell-tests-bytecode-{os.getuid()}"
"""Where commands keep what they compiled: once for all, and out of the working tree."""


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Workbench:
    """A folder with a job's files and the commands run in it."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of commands: fakes on the path, a cache of their own."""
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {
            **kept,
            "PYTHONPYCACHEPREFIX": str(BYTECODE),
            "PYTHONPATH": os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")]),
            "FORETELL_CACHE_DIR": str(self.folder / "cache"),
        }

    @property
    def store(self) -> Path:
        return self.folder / "out.zarr"

    def data(self, rows: np.ndarray) -> None:
        """Write the source."""
        np.save(self.folder / "x.npy", rows)

    def model(self, code: str) -> None:
        """Write ``model.py``."""
        (self.folder / "model.py").write_text("import numpy as np\n" + code)

    def command(self, *extra: str, sets: Mapping[str, Any]) -> list[str]:
        options = [f"--set={key}={value}" for key, value in sets.items()]
        return [sys.executable, "-m", "foretell", *extra, *options]

    def predict_command(self, **sets: Any) -> list[str]:
        chosen = {"schedule.chunk": 64, "predictor.batch_size": 64} | {
            key.replace("__", "."): value for key, value in sets.items()
        }
        start = ["predict", "--source", "x.npy", "--model", "model:f", "--output", str(self.store)]
        return self.command(*start, sets=chosen)

    def run(self, command: Sequence[str], timeout: float = 240) -> Finished:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=timeout
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def predict(self, **sets: Any) -> Finished:
        return self.run(self.predict_command(**sets))

    def sdk(self, *words: str) -> Finished:
        return self.run([sys.executable, "-m", "foretell", *words])

    def json(self, *words: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.sdk(*words, "--json").out)
        return document

    def opened(self) -> foretell.run.Run:
        return foretell.open_run(str(self.store))

    def outputs(self) -> dict[str, bytes]:
        """Every object of the store outside ``_run/``, byte for byte."""
        return {
            str(path.relative_to(self.store)): path.read_bytes()
            for path in sorted(self.store.rglob("*"))
            if path.is_file() and path.relative_to(self.store).parts[0] != "_run"
        }

    def leftovers(self) -> list[str]:
        """What a killed writer may have left staged."""
        stage = self.store / "_run" / "stage"
        staged = (
            [str(path) for path in stage.rglob("*") if path.is_file()] if stage.exists() else []
        )
        return staged + [str(path) for path in self.store.rglob("*.partial")]

    def nobody_left(self) -> None:
        """Every process of this folder's commands ends by itself."""
        # The system needs a moment to deliver a death to the children; nobody may live on.
        for _ in range(400):
            if not self.processes():
                return
            time.sleep(0.05)
        names = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self.processes()]
        raise AssertionError(f"still alive: {names}")

    def processes(self) -> list[int]:
        """Processes of this folder's commands that are still alive, workers included."""
        found = []
        wanted = f"FORETELL_CACHE_DIR={self.folder / 'cache'}".encode()
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid():
                with contextlib.suppress(OSError):
                    state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                    environment = (process / "environ").read_bytes().split(b"\0")
                    if state != "Z" and wanted in environment:
                        found.append(int(process.name))
        return found

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command and leave it running, its messages in ``messages.txt``."""
        with open(self.folder / "messages.txt", "ab") as messages:
            return subprocess.Popen(
                command, cwd=self.folder, env=self.env, stdout=messages, stderr=messages
            )

    def verified(self) -> None:
        """The invariants hold."""
        checked = self.sdk("verify", "--deep", str(self.store))
        assert checked.code == 0, checked.out + checked.err
