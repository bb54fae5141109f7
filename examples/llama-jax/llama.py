"""A decoder in the manner of Llama, from a config: plain JAX, parameters by their usual names.

Source: H. Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023; rotary
positions by J. Su et al., "RoFormer", 2021.
"""

import jax
import jax.numpy as jnp
import numpy as np

VOCABULARY = 256  # bytes


def init(rng, width, layers, heads, hidden):
    """Random parameters. Traced by the deployer, so that each device makes its own part."""
    keys = iter(jax.random.split(rng, 2 + 7 * layers))

    def kernel(rows, columns):
        return {"kernel": jax.random.normal(next(keys), (rows, columns)) * rows**-0.5}

    def layer():
        return {
            "self_attn": {f"{name}_proj": kernel(width, width) for name in "qkvo"},
            "mlp": {
                "gate_proj": kernel(width, hidden),
                "up_proj": kernel(width, hidden),
                "down_proj": kernel(hidden, width),
            },
            "input_layernorm": {"weight": jnp.ones(width)},
            "post_attention_layernorm": {"weight": jnp.ones(width)},
        }

    return {
        "embed_tokens": {"embedding": jax.random.normal(next(keys), (VOCABULARY, width))},
        "layers": {str(at): layer() for at in range(layers)},
        "norm": {"weight": jnp.ones(width)},
        "lm_head": kernel(width, VOCABULARY),
    }


def collate(records, length=64):
    """Texts to bytes: ``ids int32 (B, length)`` padded with 0, ``real bool (B, length)``."""
    texts = [record["text"].encode()[:length] for record in records]
    ids = np.zeros((len(texts), length), np.int32)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = list(text)
    return {"ids": ids, "real": np.arange(length) < np.array([[len(text)] for text in texts])}


def norm(x, layer):
    """Root-mean-square normalisation (B. Zhang, R. Sennrich, 2019)."""
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * layer["weight"]


def rotated(x):
    """Rotary positions on ``(B, T, heads, size)``."""
    half = x.shape[-1] // 2
    angles = jnp.arange(x.shape[1])[:, None] * 10_000 ** (-jnp.arange(half) / half)
    cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
    left, right = x[..., :half], x[..., half:]
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], -1)


def attention(x, layer, heads):
    """Causal self-attention."""
    rows, length, width = x.shape
    q, k, v = (
        (x @ layer[f"{name}_proj"]["kernel"]).reshape(rows, length, heads, width // heads)
        for name in "qkv"
    )
    scores = jnp.einsum("bthd,bshd->bhts", rotated(q), rotated(k)) * (width // heads) ** -0.5
    scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -jnp.inf)
    mixed = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores), v).reshape(rows, length, width)
    return mixed @ layer["o_proj"]["kernel"]


def logits(params, ids, heads):
    """Scores of the next byte at every place, ``float32 (B, T, 256)``."""
    x = params["embed_tokens"]["embedding"][ids]
    for layer in params["layers"].values():
        x = x + attention(norm(x, layer["input_layernorm"]), layer["self_attn"], heads)
        y, mlp = norm(x, layer["post_attention_layernorm"]), layer["mlp"]
        gate = jax.nn.silu(y @ mlp["gate_proj"]["kernel"])
        x = x + (gate * (y @ mlp["up_proj"]["kernel"])) @ mlp["down_proj"]["kernel"]
    return norm(x, params["norm"]) @ params["lm_head"]["kernel"]


def pred_fn(params, batch, heads):
    """How likely each text is, in nats per byte, and the byte that would come next."""
    ids, real = batch["ids"], batch["real"]
    scores = jax.nn.log_softmax(logits(params, ids, heads))
    of_next = jnp.take_along_axis(scores[:, :-1], ids[:, 1:, None], axis=-1)[..., 0]
    counted = real[:, 1:]
    last = real.sum(1) - 1
    at_last = jnp.take_along_axis(scores, last[:, None, None], axis=1)[:, 0]
    return {
        "nats_per_byte": -(of_next * counted).sum(1) / jnp.maximum(counted.sum(1), 1),
        "next_byte": jnp.argmax(at_last, axis=-1).astype(jnp.uint8),
    }
