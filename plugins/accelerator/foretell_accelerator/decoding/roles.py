"""A decoder as programs of fixed shapes: one pass over everything, or a prefill and steps.

``full`` takes ids, mask and positions padded at the end to the compiled length and gives logits for
every position; a token costs a full pass. With a cache, ``prefill`` does that once and gives the
logits of each row's last token and the keys and values of every layer; ``step`` takes one token a
row with its position and those, writes its own into them, and gives logits and the new ones.
Padding stands after the prompt, so no real token ever attends to it, and steps overwrite it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foretell_accelerator.errors import CompileError
from foretell_accelerator.models import flatten, framework_of
from foretell_accelerator.targets.base import framework


def is_pretrained(model: Any) -> bool:
    """Whether a decoder is one of transformers'."""
    return hasattr(getattr(model, "config", None), "model_type")


def can_cache(model: Any) -> bool:
    """Whether keys and values of the decoder can be kept: those of transformers take a cache."""
    return framework_of(model) == "torch" and is_pretrained(model)


def logits_of(found: Any) -> Any:
    """The logits in what a decoder returned: the output of that name, or the only one.

    Raises:
        CompileError: there are several outputs and none of that name.
    """
    parts, _ = flatten(found)
    if "logits" in parts:
        return parts["logits"]
    if len(parts) == 1 or "output_0" in parts:
        return next(iter(parts.values()))
    raise CompileError(
        "the decoder returns no logits",
        facts=[("outputs", ", ".join(parts))],
        tries=[('return {"logits": …}', "float32 (rows, length, vocabulary)")],
        slug="compile-decoder",
    )


def full(model: Any) -> Any:
    """The decoder over ids, mask and positions ``(B, L)``: logits ``(B, L, V)``."""
    if framework_of(model) == "jax":

        def call(input_ids: Any, attention_mask: Any, position_ids: Any) -> Any:
            given = {
                "input_ids": input_ids,
                "attention_mask": attention_mask,
                "position_ids": position_ids,
            }
            return {"logits": logits_of(model(**given))}

        return call
    torch: Any = framework("torch")

    class Full(torch.nn.Module):  # type: ignore[misc]
        """One pass over everything."""

        def __init__(self) -> None:
            super().__init__()
            self.decoder = model

        def forward(self, input_ids: Any, attention_mask: Any, position_ids: Any) -> Any:
            given = {"input_ids": input_ids, "position_ids": position_ids}
            if is_pretrained(model):
                mask = causal(torch, attention_mask, self.decoder)
                found = self.decoder(**given, attention_mask=mask, use_cache=False)
            else:
                found = self.decoder(**given, attention_mask=attention_mask)
            return {"logits": logits_of(found)}

    return Full().eval()


def prefill(model: Any) -> Any:
    """As :func:`full`, with ``last`` ``(B, 1)``: logits ``(B, V)`` there, and keys and values."""
    torch: Any = framework("torch")

    class Prefill(torch.nn.Module):  # type: ignore[misc]
        """The first pass."""

        def __init__(self) -> None:
            super().__init__()
            self.decoder = model

        def forward(self, input_ids: Any, attention_mask: Any, position_ids: Any, last: Any) -> Any:
            cache = _Recorded()
            found = self.decoder(
                input_ids=input_ids,
                attention_mask=causal(torch, attention_mask, self.decoder),
                position_ids=position_ids,
                past_key_values=cache,
                use_cache=False,
            )
            logits = logits_of(found)
            index = last[:, :, None].expand(-1, 1, logits.shape[-1])
            return {"logits": logits.gather(1, index)[:, 0], **cache.named()}

    return Prefill().eval()


def step(model: Any, layers: int) -> Any:
    """One token a row: its logits ``(B, V)``, and the keys and values with it written in.

    Its inputs are ``token`` and ``position`` ``(B, 1)`` and ``key_i``, ``value_i``
    ``(B, heads, L, size)``; its outputs have the names of those.
    """
    torch: Any = framework("torch")

    class Step(torch.nn.Module):  # type: ignore[misc]
        """A later pass."""

        def __init__(self) -> None:
            super().__init__()
            self.decoder = model

        def forward(self, token: Any, position: Any, **past: Any) -> Any:
            length = past["key_0"].shape[2]
            places = torch.arange(length, device=token.device)[None, :]
            here = places == position
            low = torch.finfo(_dtype(self.decoder)).min
            mask = torch.where(places <= position, 0.0, low).to(_dtype(self.decoder))
            cache = _Written(torch, past, here[:, None, :, None], layers)
            found = self.decoder(
                input_ids=token,
                attention_mask=mask[:, None, None, :],
                position_ids=position,
                past_key_values=cache,
                use_cache=False,
            )
            return {"logits": logits_of(found)[:, 0], **cache.named()}

    return Step().eval()


def causal(torch: Any, attention_mask: Any, model: Any) -> Any:
    """An additive mask ``(B, 1, L, L)``: a place sees real tokens up to itself."""
    length = attention_mask.shape[1]
    places = torch.arange(length, device=attention_mask.device)
    seen = (places[None, :] <= places[:, None])[None] & (attention_mask[:, None, :] > 0)
    dtype = _dtype(model)
    return torch.where(seen, 0.0, torch.finfo(dtype).min).to(dtype)[:, None]


def _dtype(model: Any) -> Any:
    return next(model.parameters()).dtype


class _Recorded:
    """Stands in for a cache and keeps what each layer hands it."""

    is_compileable = False

    def __init__(self) -> None:
        self.kept: dict[int, tuple[Any, Any]] = {}

    def update(self, keys: Any, values: Any, layer: int, *args: Any, **kwargs: Any) -> Any:
        self.kept[layer] = (keys, values)
        return keys, values

    def named(self) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        for layer, (keys, values) in sorted(self.kept.items()):
            parts |= {f"key_{layer}": keys, f"value_{layer}": values}
        return parts


class _Written(_Recorded):
    """Stands in for a cache that holds earlier tokens, and writes each row's new one in."""

    def __init__(self, torch: Any, past: Mapping[str, Any], here: Any, layers: int) -> None:
        super().__init__()
        self._torch, self._past, self._here = torch, past, here
        self._layers = layers

    def update(self, keys: Any, values: Any, layer: int, *args: Any, **kwargs: Any) -> Any:
        where = self._torch.where
        joined = (
            where(self._here, keys, self._past[f"key_{layer}"]),
            where(self._here, values, self._past[f"value_{layer}"]),
        )
        self.kept[layer] = joined
        return joined


def example(rows: int, length: int, vocabulary: int) -> dict[str, np.ndarray]:
    """Inputs of ``full`` with prompts of different lengths, the same every time."""
    random = np.random.default_rng(0)
    counts = np.linspace(length, max(1, length // 2), rows).astype(np.int64)
    return padded(
        [random.integers(0, vocabulary, count).tolist() for count in counts.tolist()], rows, length
    )


def padded(prompts: Sequence[Sequence[int]], rows: int, length: int) -> dict[str, np.ndarray]:
    """Ids, mask and positions int64 ``(rows, length)``, padding after the prompts.

    Rows beyond the prompts repeat the first, so that a program never sees an empty row.
    """
    ids = np.zeros((rows, length), dtype=np.int64)
    mask = np.zeros((rows, length), dtype=np.int64)
    for row in range(rows):
        prompt = prompts[row] if row < len(prompts) else prompts[0]
        ids[row, : len(prompt)] = prompt
        mask[row, : len(prompt)] = 1
    positions = np.broadcast_to(np.arange(length, dtype=np.int64), (rows, length)).copy()
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
