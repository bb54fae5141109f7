"""Small models for the tests of the JAX plugin; importing this imports no JAX."""

from __future__ import annotations

import numpy as np


def init(rng, width=16):
    import jax

    a, b = jax.random.split(rng)
    return {
        "up": {"kernel": jax.random.normal(a, (6, width))},
        "down": {"kernel": jax.random.normal(b, (width, 4))},
    }


def dense(params, batch):
    import jax

    return {"logits": jax.nn.tanh(batch @ params["up"]["kernel"]) @ params["down"]["kernel"]}


def noisy(rng, params, batch):
    import jax

    noise = jax.random.normal(rng, (len(batch),))
    return {"logits": dense(params, batch)["logits"], "noise": noise}


def expected(params, x):
    return np.tanh(x @ np.asarray(params["up"]["kernel"])) @ np.asarray(params["down"]["kernel"])


def rows(count=64):
    return np.random.default_rng(0).normal(size=(count, 6)).astype(np.float32)
