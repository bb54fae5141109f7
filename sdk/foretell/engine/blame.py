"""Whose fault a worker's death was: read from its board, not from what was still on its way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from foretell.engine.board import Phase, Stamp, read_board
from foretell.engine.crew import Member
from foretell.engine.messages import MAX_TRACEBACK, Trouble
from foretell.engine.tasks import kill_process
from foretell.store.identity import process_started

_TAIL = 8_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a death.

    Attributes:
        suspects: Chunks that may have caused it.
        loading: Whether the model was being loaded.
        trouble: The cause, for the failure records.
    """

    suspects: frozenset[int]
    loading: bool
    trouble: Trouble


def judge(
    member: Member,
    stamps: list[Stamp],
    held: Iterable[int],
    exit_code: int | None,
    output: str,
) -> Verdict:
    """Attribute a death.

    The chunks in the model are the suspects; where none was, all that were read or written are;
    without a board (another host, a lost disk) everything the worker held is.

    Args:
        member: The process that died first.
        stamps: Its board after the death.
        held: Chunks it had been given.
        exit_code: From its nanny, negative for a signal, or None.
        output: The end of what it printed.
    """
    held = frozenset(held)
    busy = [stamp for stamp in stamps if stamp.chunk in held]
    in_model = frozenset(s.chunk for s in busy if s.phase is Phase.MODEL)
    at_work = frozenset(s.chunk for s in busy if s.phase in (Phase.READ, Phase.WRITE))
    loading = any(stamp.phase is Phase.LOAD for stamp in stamps)
    kind, message = _cause(member.doomed, exit_code)
    suspects = frozenset() if loading else in_model or at_work
    if not stamps and not loading and member.doomed != "left":
        suspects = held
    return Verdict(suspects, loading, Trouble(kind, message, traceback=output[-MAX_TRACEBACK:]))


def _cause(doomed: str, exit_code: int | None) -> tuple[str, str]:
    if doomed == "timeout":
        return "timeout", "the chunk took longer than schedule.timeout; its worker was ended"
    if doomed == "memory":
        return (
            "worker-memory",
            "the worker grew beyond schedule.memory_limit and was ended; try a smaller batch_size",
        )
    if exit_code is None:
        return "worker-died", "the worker is gone"
    if exit_code < 0:
        name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else -exit_code
        hint = " (the system may have been out of memory)" if -exit_code == signal.SIGKILL else ""
        return "worker-died", f"the worker was ended by {name}{hint}"
    return "worker-died", f"the worker exited with code {exit_code}"


def read_remains(member: Member) -> tuple[list[Stamp], str]:
    """Board and last output of a process on this host; empty where there are none."""
    if member.info is None:
        return [], ""
    return read_board(member.info.board), tail(member.info.output)


def tail(path: str) -> str:
    """The end of a text file; empty when it cannot be read."""
    if not path:
        return ""
    try:
        data = Path(path).read_bytes()[-_TAIL:]
    except OSError:
        return ""
    return data.decode("utf-8", "replace")


def sweep_remains(member: Member) -> None:
    """Remove a dead process's board and output file."""
    if member.info is not None:
        Path(member.info.board).unlink(missing_ok=True)
        if member.info.output:
            Path(member.info.output).unlink(missing_ok=True)


def alive(pid: int, started: float) -> bool:
    """Whether the process with this pid and start time still is there."""
    return process_started(pid) == started


def make_sure_dead(member: Member, host: str) -> bool:
    """Whether a process of this host is proven dead, ending it where it is not."""
    info = member.info
    if info is None or info.host != host:
        return False
    if info.pid == os.getpid():
        return True  # a cluster inside this process: its threads end with their tasks
    if not alive(info.pid, info.pid_started):
        return True
    kill_process(info.pid)
    with suppress(psutil.Error):
        psutil.Process(info.pid).wait(timeout=5)
    return not alive(info.pid, info.pid_started)
