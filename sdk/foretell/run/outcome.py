"""How a session ended."""

from __future__ import annotations

from dataclasses import dataclass

from foretell.errors import ForetellError
from foretell.store.head import Head
from foretell.types import RunState


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended, for the command line and the Python API.

    Attributes:
        state: How the run stands.
        exit_code: What a command exits with.
        url: The run store.
        reason: One line for people, may be empty.
        head: The last head written or found.
        error: More to say, where there is more than the reason.
        idle: Whether nothing was left to do and nothing was written.
        seconds: Length of the session.
    """

    state: RunState
    exit_code: int
    url: str
    reason: str = ""
    head: Head | None = None
    error: ForetellError | None = None
    idle: bool = False
    seconds: float = 0.0
