"""The generation loop: prompts of any length over compiled ones, row by row."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from foretell.types import JSON

from foretell_accelerator.decoding.decoder import Decoder
from foretell_accelerator.decoding.sampling import (
    Sampling,
    choose,
    log_probability,
    margin,
    stream,
)

STOP, LENGTH, ROOM = "stop", "length", "room"
"""Why a text ended: a stop token, the most tokens asked for, or the end of the compiled length."""


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt: its tokens, at least one, and its row's random key uint32 ``(2,)``."""

    tokens: Sequence[int]
    key: np.ndarray


@dataclass(slots=True)
class Generated:
    """What became of a prompt.

    Attributes:
        tokens: Generated, a stop token included.
        logprobs: Of each of them.
        margin: Smallest difference of the two best logits over all of them.
        finish: ``stop``, ``length`` or ``room``.
    """

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    margin: float = float("inf")
    finish: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a text ends.

    Attributes:
        most: Most tokens after a prompt.
        stops: Tokens that end it.
    """

    most: int
    stops: tuple[int, ...] = ()


@dataclass(slots=True)
class Speed:
    """Figures over everything a generator did: no output, so that runs stay comparable."""

    prompts: int = 0
    tokens: int = 0
    seconds: float = 0.0
    first: float = 0.0
    batches: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, prompts: int, tokens: int, seconds: float, first: float) -> None:
        """Count one piece."""
        with self._lock:
            self.prompts += prompts
            self.tokens += tokens
            self.seconds += seconds
            self.first += first
            self.batches += 1

    def to_json(self) -> dict[str, JSON]:
        """For the run's record."""
        return {
            "prompts": self.prompts,
            "tokens": self.tokens,
            "tokens_per_second": self.tokens / self.seconds if self.seconds else 0.0,
            "time_to_first_token": self.first / self.batches if self.batches else 0.0,
        }


def fitting_length(prompt: int, most: int, lengths: Sequence[int]) -> int | None:
    """The smallest compiled length for a prompt and ``most`` tokens after it.

    The last token is not fed back, so it needs no place. Where nothing holds all, the largest that
    holds the prompt; None when none does.
    """
    for length in lengths:
        if prompt + most - 1 <= length:
            return length
    return lengths[-1] if prompt <= lengths[-1] else None


class Generator:
    """Generates after prompts, in pieces of compiled batch sizes. Safe from several threads.

    Args:
        decoder: The programs.
        sampling: How tokens are chosen.
        limits: When a text ends.
    """

    def __init__(self, decoder: Decoder, sampling: Sampling, limits: Limits) -> None:
        self.decoder = decoder
        self.speed = Speed()
        self._sampling = sampling
        self._limits = limits

    def generate(self, requests: Sequence[Request]) -> list[Generated]:
        """One result for each request, in order. A row's result does not depend on the others.

        Raises:
            ValueError: a prompt is empty or longer than the longest compiled length.
        """
        results = [Generated() for _ in requests]
        groups: dict[int, list[int]] = {}
        for position, request in enumerate(requests):
            count = len(request.tokens)
            length = fitting_length(count, self._limits.most, self.decoder.lengths)
            if length is None or count == 0:
                longest = self.decoder.lengths[-1]
                raise ValueError(f"a prompt of {count} tokens; 1 to {longest} are possible")
            groups.setdefault(length, []).append(position)
        for length, positions in sorted(groups.items()):
            size = self.decoder.most_rows(length)
            for start in range(0, len(positions), size):
                piece = positions[start : start + size]
                self._piece([requests[i] for i in piece], [results[i] for i in piece], length)
        return results

    def _piece(self, requests: list[Request], results: list[Generated], length: int) -> None:
        clock = time.perf_counter()
        session = self.decoder.open([request.tokens for request in requests], length)
        streams = [stream(request.key) for request in requests]
        counts = np.array([len(request.tokens) for request in requests])
        logits = session.start()
        first = time.perf_counter() - clock
        going = list(range(len(requests)))
        while True:
            for row in going:
                self._extend(results[row], logits[row], streams[row], int(counts[row]), length)
            going = [row for row in going if not results[row].finish]
            if not going:
                break
            tokens = np.array([result.tokens[-1] for result in results])
            # A row that has ended repeats its last token at its last place: nobody looks at it.
            places = np.minimum(counts + [len(r.tokens) - 1 for r in results], length - 1)
            logits = session.next(tokens, places)
        generated = sum(len(result.tokens) for result in results)
        self.speed.add(len(requests), generated, time.perf_counter() - clock, first)

    def _extend(
        self,
        result: Generated,
        logits: np.ndarray,
        random: np.random.Generator,
        prompt: int,
        length: int,
    ) -> None:
        token = choose(logits, self._sampling, random)
        result.tokens.append(token)
        result.logprobs.append(log_probability(logits, token))
        result.margin = min(result.margin, margin(logits))
        if token in self._limits.stops:
            result.finish = STOP
        elif len(result.tokens) == self._limits.most:
            result.finish = LENGTH
        elif prompt + len(result.tokens) > length:
            result.finish = ROOM
