"""A decoder's programs, run for a few rows of one compiled length at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from foretell_accelerator.artifact import Artifact
from foretell_accelerator.decoding.roles import padded
from foretell_accelerator.errors import ArtifactError
from foretell_accelerator.manifest import Program


class Decoder:
    """Chooses programs of an artifact by length and number of rows.

    Args:
        artifact: With programs of the roles ``full``, or ``prefill`` and ``step``.

    Raises:
        ArtifactError: it has none.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        roles: dict[str, list[Program]] = {"full": [], "prefill": [], "step": []}
        for program in artifact.programs:
            roles.setdefault(program.role, []).append(program)
        self.cache = bool(roles["prefill"])
        self._first = roles["prefill"] if self.cache else roles["full"]
        self._later = {(p.rows, p.length): p for p in roles["step"]}
        if not self._first:
            raise ArtifactError(
                "the artifact is no decoder",
                facts=[("programs", ", ".join(p.name for p in artifact.programs))],
                tries=[('kind = "artifact"', "runs it as it is")],
                slug="artifact-decoder",
            )

    @property
    def lengths(self) -> tuple[int, ...]:
        """Compiled lengths, ascending."""
        return tuple(sorted({program.length for program in self._first}))

    def most_rows(self, length: int) -> int:
        """The largest compiled batch of a length."""
        return max(p.rows or 1 for p in self._first if p.length == length)

    def open(self, prompts: Sequence[Sequence[int]], length: int) -> Session:
        """Start on at most :meth:`most_rows` prompts that fit into ``length``."""
        fitting = [p for p in self._first if p.length == length and (p.rows or 0) >= len(prompts)]
        program = min(fitting, key=lambda p: p.rows or 0)
        if self.cache:
            later = self._later[(program.rows, length)]
            return CachedSession(self.artifact, program, later, prompts)
        return FullSession(self.artifact, program, prompts)


class Session(ABC):
    """A few rows on their way, all of one compiled length."""

    @abstractmethod
    def start(self) -> np.ndarray:
        """Logits after each prompt, float32 ``(n, V)``."""

    @abstractmethod
    def next(self, tokens: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Logits after one more token in each row.

        Args:
            tokens: int64 ``(n,)``.
            positions: int64 ``(n,)``, where each stands.
        """


class FullSession(Session):
    """A full pass for every token."""

    def __init__(
        self, artifact: Artifact, program: Program, prompts: Sequence[Sequence[int]]
    ) -> None:
        self._artifact, self._program = artifact, program
        self._inputs = padded(prompts, program.rows or 1, program.length)
        self._n = len(prompts)
        self._last = np.array([len(prompt) - 1 for prompt in prompts])

    def start(self) -> np.ndarray:
        return self._run()

    def next(self, tokens: np.ndarray, positions: np.ndarray) -> np.ndarray:
        rows = np.arange(self._n)
        self._inputs["input_ids"][rows, positions] = tokens
        self._inputs["attention_mask"][rows, positions] = 1
        self._last = positions
        return self._run()

    def _run(self) -> np.ndarray:
        logits = self._artifact.call(self._program, self._inputs)["logits"]
        last: np.ndarray = logits[np.arange(self._n), self._last].astype(np.float32)
        return last


class CachedSession(Session):
    """One pass over the prompts, then one step for every token."""

    def __init__(
        self,
        artifact: Artifact,
        program: Program,
        later: Program,
        prompts: Sequence[Sequence[int]],
    ) -> None:
        self._artifact, self._first, self._later = artifact, program, later
        rows = program.rows or 1
        self._inputs = padded(prompts, rows, program.length)
        self._inputs["last"] = self._inputs["attention_mask"].sum(1, keepdims=True) - 1
        self._n, self._rows = len(prompts), rows
        self._past: dict[str, Any] = {}

    def start(self) -> np.ndarray:
        inputs = [self._inputs[spec.name] for spec in self._first.inputs]
        return self._kept(self._first, self._artifact.launch(self._first, inputs))

    def next(self, tokens: np.ndarray, positions: np.ndarray) -> np.ndarray:
        given = dict(self._past)
        given["token"] = self._filled(tokens)
        given["position"] = self._filled(positions)
        inputs = [given[spec.name] for spec in self._later.inputs]
        return self._kept(self._later, self._artifact.launch(self._later, inputs))

    def _filled(self, values: np.ndarray) -> np.ndarray:
        """One column, int64 ``(rows, 1)``; filler rows get what the first has."""
        column = np.full((self._rows, 1), values[0], dtype=np.int64)
        column[: self._n, 0] = values
        return column

    def _kept(self, program: Program, values: Sequence[Any]) -> np.ndarray:
        """Leave keys and values where they are; bring the logits of the real rows."""
        named = {spec.name: v for spec, v in zip(program.outputs, values, strict=True)}
        logits = self._artifact.runner(program).host(named.pop("logits"))
        self._past = named
        return logits[: self._n].astype(np.float32)
