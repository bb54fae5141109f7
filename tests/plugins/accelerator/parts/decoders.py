"""Small decoders and modules that these tests compile."""

import functools

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

POSITIONS = 128


def config(layers=1, positions=POSITIONS, vocabulary=257):
    return GPT2Config(
        vocab_size=vocabulary,
        n_positions=positions,
        n_embd=32,
        n_layer=layers,
        n_head=4,
        bos_token_id=256,
        eos_token_id=256,
        # Random weights of the usual size give logits that hardly differ.
        initializer_range=0.4,
    )


def gpt2(layers=1, positions=POSITIONS):
    """A GPT-2 of random weights, the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return GPT2LMHeadModel(config(layers, positions)).eval()


class Small(torch.nn.Module):
    """Two inputs, two outputs of different dtypes."""

    def __init__(self, width=16):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first = torch.nn.Linear(6, width)
            self.second = torch.nn.Linear(width, 4)

    def forward(self, x, scale):
        hidden = torch.nn.functional.gelu(self.first(x) * scale[:, None])
        logits = self.second(hidden)
        return {"logits": logits, "label": logits.argmax(1)}


def small_inputs(rows=8):
    random = np.random.default_rng(0)
    return {
        "x": random.normal(size=(rows, 6)).astype("float32"),
        "scale": random.uniform(0.5, 2, size=rows).astype("float32"),
    }


@functools.cache
def jax_parameters(vocabulary=257, width=32):
    random = np.random.default_rng(5)

    def make(*shape):
        return random.normal(scale=0.4, size=shape).astype("float32")

    return {
        "embed": make(vocabulary, width),
        "place": make(POSITIONS, width),
        "qkv": make(width, 3 * width),
        "out": make(width, width),
        "up": make(width, 2 * width),
        "down": make(2 * width, width),
    }


def jax_decoder(input_ids, attention_mask, position_ids):
    """A decoder of one layer and one head: logits float32 (B, L, V)."""
    import jax
    import jax.numpy as jnp

    parameters = {name: jnp.asarray(array) for name, array in jax_parameters().items()}
    gelu = functools.partial(jax.nn.gelu, approximate=True)
    return {"logits": _decode(jnp, gelu, parameters, input_ids, attention_mask, position_ids)}


def numpy_decoder(input_ids, attention_mask, position_ids):
    """The same by NumPy."""

    def gelu(x):
        inner = np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x**3)
        return x * np.float32(0.5) * (1 + np.tanh(inner))

    return {"logits": _decode(np, gelu, jax_parameters(), input_ids, attention_mask, position_ids)}


def _decode(xp, gelu, p, input_ids, attention_mask, position_ids):
    length = input_ids.shape[1]
    x = p["embed"][input_ids] + p["place"][position_ids]
    q, k, v = xp.split(_norm(x) @ p["qkv"], 3, axis=-1)
    seen = xp.tril(xp.ones((length, length), bool))[None] & (attention_mask[:, None, :] > 0)
    scores = xp.where(
        seen, q @ k.swapaxes(1, 2) / np.float32(q.shape[-1] ** 0.5), np.float32(-1e30)
    )
    raised = xp.exp(scores - scores.max(axis=-1, keepdims=True))
    x = x + raised / raised.sum(axis=-1, keepdims=True) @ v @ p["out"]
    x = x + gelu(_norm(x) @ p["up"]) @ p["down"]
    return _norm(x) @ p["embed"].T


def _norm(x):
    return x / (x.std(axis=-1, keepdims=True) + np.float32(1e-5))


class Echo:
    """A tokenizer of one's own: letters are tokens from 0 on."""

    start = 0
    end = 256

    def encode(self, text):
        return [ord(letter) % 256 for letter in text]

    def decode(self, tokens):
        return "".join(chr(token) for token in tokens if token < 256)


def needs(target):
    """Skip where a target's package is missing."""
    import pytest
    from foretell_accelerator import registry

    if reason := registry.target(target).usable():
        pytest.skip(f"{target}: {reason}")
