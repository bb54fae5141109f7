"""Joins the predictions of many batches into one, padding sequences of different length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foretell.errors import ShapeMismatch

from foretell_torch import frameworks

LENGTHS = "_lengths"
"""What the name of a padded output's lengths ends with."""


def batch_collator(
    batches: Sequence[Any],
    batch_dim: int = 0,
    seq_dim: int = 1,
    batch_dim_key_defaults: Mapping[str, int] | None = None,
    seq_dim_key_defaults: Mapping[str, int] | None = None,
    padding_value: float = 0,
) -> Any:
    """Join batches along their batch dimension; sequences are padded on the right.

    Every batch is the same nest of dicts, tuples and lists of tensors. Tensors are concatenated
    along the batch dimension; where their sequence dimensions differ they are padded to the
    longest, and the real lengths come along: next to the key ``x`` of a dict stands ``x_lengths``,
    int64 ``(rows,)``; a padded tensor in a tuple or list, or a bare one, becomes
    ``{"values": tensor, "lengths": lengths}``. Batches that are None are left out.

    Args:
        batches: At least one that is not None.
        batch_dim: Batch dimension of a tensor.
        seq_dim: Its sequence dimension, the only one that may differ between batches.
        batch_dim_key_defaults: Batch dimension of tensors under some dict keys.
        seq_dim_key_defaults: Sequence dimension of tensors under some dict keys.
        padding_value: Stands where a sequence has ended.

    Returns:
        The same nest, as one batch.

    Raises:
        ShapeMismatch: the batches do not agree, naming the part: a key more or less, another kind,
            number of dimensions or dtype, or another length outside the sequence dimension.
    """
    given = [batch for batch in batches if batch is not None]
    if not given:
        raise ShapeMismatch(
            "there is no batch to join", facts=[("got", f"{len(batches)} batches, all None")]
        )
    dims = _Dims(
        batch_dim,
        seq_dim,
        dict(batch_dim_key_defaults or {}),
        dict(seq_dim_key_defaults or {}),
        padding_value,
    )
    return dims.join(given, "batch", None)


class _Dims:
    def __init__(
        self,
        batch: int,
        seq: int,
        batch_by_key: Mapping[str, int],
        seq_by_key: Mapping[str, int],
        value: float,
    ) -> None:
        self._torch = frameworks.torch()
        self._batch = batch
        self._seq = seq
        self._batch_by_key = batch_by_key
        self._seq_by_key = seq_by_key
        self._value = value

    def join(self, parts: Sequence[Any], where: str, key: str | None) -> Any:
        first = parts[0]
        for number, part in enumerate(parts):
            if _kind(part) != _kind(first):
                raise _differ(where, f"a {_kind(first)}", f"a {_kind(part)} in batch {number}")
        if isinstance(first, Mapping):
            return self._join_dicts(parts, where)
        if isinstance(first, tuple | list):
            return self._join_sequences(parts, where)
        if not self._torch.is_tensor(first):
            raise _differ(where, "a tensor", f"a {_kind(first)}")
        values, lengths = self._join_tensors(parts, where, key)
        return values if lengths is None else {"values": values, "lengths": lengths}

    def _join_dicts(self, parts: Sequence[Any], where: str) -> dict[str, Any]:
        first = parts[0]
        for number, part in enumerate(parts):
            if part.keys() != first.keys():
                expected, got = (", ".join(map(str, keys)) for keys in (first, part))
                raise _differ(where, f"the keys {expected}", f"{got} in batch {number}")
        joined: dict[str, Any] = {}
        for key in first:
            inner = [part[key] for part in parts]
            place = f"{where}[{key!r}]"
            if not self._torch.is_tensor(inner[0]):
                joined[key] = self.join(inner, place, key)
                continue
            joined[key], lengths = self._join_tensors(inner, place, key)
            if lengths is not None:
                name = f"{key}{LENGTHS}"
                if name in first:
                    raise _differ(where, f"no key {name!r} beside a padded one", "one")
                joined[name] = lengths
        return joined

    def _join_sequences(self, parts: Sequence[Any], where: str) -> Any:
        first = parts[0]
        for number, part in enumerate(parts):
            if len(part) != len(first):
                raise _differ(where, f"{len(first)} parts", f"{len(part)} in batch {number}")
        joined = [
            self.join([part[at] for part in parts], f"{where}[{at}]", None)
            for at in range(len(first))
        ]
        if isinstance(first, list):
            return joined
        return type(first)(*joined) if hasattr(first, "_fields") else tuple(joined)

    def _join_tensors(self, parts: Sequence[Any], where: str, key: str | None) -> tuple[Any, Any]:
        torch, first = self._torch, parts[0]
        batch = self._batch_by_key.get(key, self._batch) if key is not None else self._batch
        seq = self._seq_by_key.get(key, self._seq) if key is not None else self._seq
        for number, part in enumerate(parts):
            self._check(first, part, batch, seq, where, number)
        longest = max((part.shape[seq] for part in parts), default=0) if first.dim() > seq else 0
        if first.dim() <= seq or seq == batch or all(p.shape[seq] == longest for p in parts):
            return torch.cat(list(parts), dim=batch), None
        padded = [self._padded(part, seq, longest) for part in parts]
        lengths = [torch.full((part.shape[batch],), part.shape[seq]) for part in parts]
        return torch.cat(padded, dim=batch), torch.cat(lengths)

    def _padded(self, part: Any, seq: int, longest: int) -> Any:
        shape = list(part.shape)
        shape[seq] = longest - shape[seq]
        filler = part.new_full(shape, self._value)
        return self._torch.cat([part, filler], dim=seq)

    def _check(self, first: Any, part: Any, batch: int, seq: int, where: str, number: int) -> None:
        if part.dim() <= batch:
            raise _differ(
                where, f"a batch dimension {batch}", f"{part.dim()} dimensions in batch {number}"
            )
        if part.dtype != first.dtype:
            raise _differ(where, str(first.dtype), f"{part.dtype} in batch {number}")
        fixed = [
            [n for at, n in enumerate(tensor.shape) if at not in (batch, seq)]
            for tensor in (first, part)
        ]
        if part.dim() != first.dim() or fixed[0] != fixed[1]:
            expected = f"shape {tuple(first.shape)} but for dimensions {batch} and {seq}"
            raise _differ(where, expected, f"{tuple(part.shape)} in batch {number}")


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "dict"
    return "tensor" if hasattr(value, "new_full") else type(value).__name__


def _differ(where: str, expected: str, got: str) -> ShapeMismatch:
    return ShapeMismatch(
        "the batches cannot be joined",
        facts=[("where", where), ("expected", expected), ("got", got)],
        slug="collate",
    )
