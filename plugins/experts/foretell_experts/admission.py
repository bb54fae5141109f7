"""What a task must look like to be let into a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from foretell_experts.errors import TaskRefused
from foretell_experts.schema import BatchTensorDescriptor, describe


class Admission:
    """Checks the tensors of a task before they wait beside others.

    Args:
        name: Of the pool, for messages.
        limit: Most rows of a task.
        schema: What one row of each tensor looks like; None until it is learnt.
    """

    def __init__(
        self, name: str, limit: int, schema: Sequence[BatchTensorDescriptor] | None
    ) -> None:
        self._name = name
        self.limit = limit
        self._schema: tuple[BatchTensorDescriptor, ...] | None = None
        self._seen: dict[tuple[tuple[torch.Size, torch.dtype], ...], int] = {}
        if schema is not None:
            self.learn(schema)

    @property
    def knows(self) -> bool:
        """Whether there is a schema."""
        return self._schema is not None

    def learn(self, schema: Sequence[BatchTensorDescriptor]) -> None:
        """Let in only what looks like this from now on."""
        self._schema = tuple(schema)
        self._seen = {}

    def rows(self, tensors: tuple[torch.Tensor, ...]) -> int:
        """Rows of a task that fits. On the way of every task, so a look seen before is quick.

        Raises:
            TaskRefused: it does not fit, naming expected and got.
        """
        try:
            looks = tuple([(tensor.shape, tensor.dtype) for tensor in tensors])
            rows = self._seen.get(looks)
        except (AttributeError, TypeError):
            return self._checked(tensors)
        if rows is None:
            rows = self._checked(tensors)
            if self._schema is not None:
                self._seen[looks] = rows  # at most one for each number of rows that is let in
        elif rows > self.limit:
            return self._checked(tensors)
        return rows

    def _checked(self, tensors: tuple[Any, ...]) -> int:
        schema = self._schema
        if not tensors or (schema is not None and len(tensors) != len(schema)):
            expected = "at least one" if schema is None else str(len(schema))
            facts = [("expected", f"{expected} tensors"), ("got", str(len(tensors)))]
            raise self._refused("the task has another number of tensors than the pool takes", facts)
        for position, tensor in enumerate(tensors):
            wrong = not isinstance(tensor, torch.Tensor) or tensor.ndim == 0
            if wrong or (schema is not None and not schema[position].fits(tensor)):
                promised = "a tensor with rows" if schema is None else schema[position].describe()
                facts = [("expected", promised), ("got", describe(tensor))]
                raise self._refused(f"tensor {position} of the task does not fit the pool", facts)
        counts = [len(tensor) for tensor in tensors]
        if len(set(counts)) > 1:
            facts = [("got", ", ".join(map(str, counts)))]
            raise self._refused("the tensors of the task differ in their number of rows", facts)
        if not 0 < counts[0] <= self.limit:
            facts = [("limit", f"1 to {self.limit} rows"), ("got", f"{counts[0]} rows")]
            raise self._refused("a task is never split, so it must fit into one batch", facts)
        return counts[0]

    def _refused(self, message: str, facts: Sequence[tuple[str, str]]) -> TaskRefused:
        return TaskRefused(message, facts=[("pool", self._name), *facts])

    def alike(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> bool:
        """Whether two tasks that were let in may share a batch."""
        if self._schema is not None:
            return True
        return [(t.shape[1:], t.dtype) for t in first] == [(t.shape[1:], t.dtype) for t in second]
