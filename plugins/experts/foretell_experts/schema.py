"""What one row of a tensor looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

DUMMY_BATCH_SIZE = 3
"""Rows of the batch of zeros from which an expert's outputs are learnt."""


@dataclass(frozen=True, slots=True, init=False)
class BatchTensorDescriptor:
    """A tensor whose axis 0 counts the rows of a batch.

    Args:
        *size: Shape of one row, without the batch axis.
        dtype: Of the values; ``torch.get_default_dtype()`` by default.
        layout: Memory layout.
        device: Where empty tensors are made.
        requires_grad: Whether empty tensors require a gradient; only floats can.
        pin_memory: Whether empty tensors are made in page-locked memory.

    Attributes:
        size: Shape of one row.
    """

    size: tuple[int, ...]
    dtype: torch.dtype
    layout: torch.layout
    device: torch.device | None
    requires_grad: bool
    pin_memory: bool

    def __init__(
        self,
        *size: int,
        dtype: torch.dtype | None = None,
        layout: torch.layout = torch.strided,
        device: torch.device | str | None = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> None:
        put = object.__setattr__
        put(self, "size", tuple(int(extent) for extent in size))
        put(self, "dtype", torch.get_default_dtype() if dtype is None else dtype)
        put(self, "layout", layout)
        put(self, "device", None if device is None else torch.device(device))
        put(self, "requires_grad", requires_grad)
        put(self, "pin_memory", pin_memory)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of a batch: None for its rows, then the shape of a row."""
        return (None, *self.size)

    @classmethod
    def from_tensor(cls, tensor: torch.Tensor) -> BatchTensorDescriptor:
        """Describe the rows of a batch.

        Raises:
            ValueError: the tensor has no batch axis.
        """
        if tensor.ndim == 0:
            raise ValueError("a tensor without axes has no rows")
        return cls(
            *tensor.shape[1:],
            dtype=tensor.dtype,
            layout=tensor.layout,
            device=tensor.device,
            requires_grad=tensor.requires_grad,
        )

    def make_empty(self, *batch_size: int) -> torch.Tensor:
        """An uninitialised tensor of ``(*batch_size, *size)``."""
        return torch.empty(*batch_size, *self.size, **self._properties())

    def make_zeros(self, *batch_size: int) -> torch.Tensor:
        """A tensor of zeros of ``(*batch_size, *size)``."""
        return torch.zeros(*batch_size, *self.size, **self._properties())

    def _properties(self) -> dict[str, Any]:
        return {
            "dtype": self.dtype,
            "layout": self.layout,
            "device": self.device,
            "requires_grad": self.requires_grad,
            "pin_memory": self.pin_memory,
        }

    def fits(self, tensor: torch.Tensor) -> bool:
        """Whether the rows of ``tensor`` have this shape and dtype."""
        return tensor.dtype == self.dtype and tuple(tensor.shape[1:]) == self.size

    def describe(self) -> str:
        """The row in one phrase, as error messages show it: ``float32 (rows, 64)``."""
        return _phrase(self.dtype, self.size)


def describe(tensor: Any) -> str:
    """A tensor, or what was given for one, in the same phrase."""
    if not isinstance(tensor, torch.Tensor):
        return type(tensor).__name__
    if tensor.ndim == 0:
        return f"{str(tensor.dtype).removeprefix('torch.')} without rows"
    return _phrase(tensor.dtype, tuple(tensor.shape[1:]))


def _phrase(dtype: torch.dtype, size: tuple[int, ...]) -> str:
    return f"{str(dtype).removeprefix('torch.')} ({', '.join(['rows', *map(str, size)])})"


BatchTensorProto = BatchTensorDescriptor
"""The descriptor's older name."""
