"""All that is wrong with a job, collected and told at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foretell.errors import ConfigError, Fact
from foretell.redact import HIDDEN, is_secret_name, redact_url

_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        key: Dotted key, or the name of a file or variable.
        message: What is wrong with it, no key in it: ``unknown key``.
        got: What was given, as text; empty when nothing was.
        origin: Where that was said.
        nearest: A known name like the unknown one, with its section.
        known: Names that would have been right, where no near one was found.
        tries: (what to do, effect) pairs.
    """

    key: str
    message: str
    got: str = ""
    origin: str = ""
    nearest: str | None = None
    known: tuple[str, ...] = ()
    tries: tuple[Fact, ...] = ()

    @property
    def place(self) -> str:
        """What was given and where: ``4 (job.toml:12)``."""
        return (
            f"{self.got} ({self.origin})" if self.got and self.origin else self.got or self.origin
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "key": self.key,
            "message": self.message,
            "got": self.got,
            "origin": self.origin,
            "nearest": self.nearest,
        }


class JobError(ConfigError):
    """A job cannot be used; says everything that is wrong with it.

    Args:
        problems: At least one.
    """

    problems: tuple[Problem, ...] = ()

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(problems) == 1:
            self._tell_one(problems[0])
        else:
            self._tell_all(problems)

    def _tell_one(self, problem: Problem) -> None:
        facts = [("got", problem.place)] if problem.place else []
        if problem.known:
            facts.append(("known", ", ".join(problem.known)))
        tries = list(problem.tries)
        if problem.nearest:
            tries.insert(0, (problem.nearest, "the nearest known name"))
        ConfigError.__init__(self, _headline(problem), facts=facts, tries=tries)

    def _tell_all(self, problems: Sequence[Problem]) -> None:
        facts = []
        for problem in problems:
            text = problem.message
            if problem.nearest:
                text += f"; the nearest known name is {problem.nearest}"
            elif problem.known:
                text += f"; known: {', '.join(problem.known)}"
            facts.append((problem.key, f"{text}\n{problem.place}".rstrip()))
        tries = dict.fromkeys(pair for problem in problems for pair in problem.tries)
        ConfigError.__init__(
            self, f"{len(problems)} things are wrong with this job", facts=facts, tries=tries
        )


def _headline(problem: Problem) -> str:
    if problem.message.startswith("unknown "):
        return f"{problem.message} {problem.key}"
    return f"{problem.key}: {problem.message}"


def show_value(key: str, value: Any) -> str:
    """A value as the user would have typed it, secrets hidden, long ones cut."""
    if is_secret_name(key.rpartition(".")[2]):
        return HIDDEN
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        text = repr(value)
    text = redact_url(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
