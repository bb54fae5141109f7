"""A small convolutional network for 8 x 8 images, in plain JAX."""

import jax
import jax.numpy as jnp


def init(rng):
    """Weights before the training, scaled for rectified units (He et al., 2015)."""
    keys = jax.random.split(rng, 4)

    def normal(key, shape, inputs):
        return jax.random.normal(key, shape) * (2 / inputs) ** 0.5

    return {
        "conv_1": {"kernel": normal(keys[0], (3, 3, 1, 8), 9), "bias": jnp.zeros(8)},
        "conv_2": {"kernel": normal(keys[1], (3, 3, 8, 16), 72), "bias": jnp.zeros(16)},
        "up": {"kernel": normal(keys[2], (256, 32), 256), "bias": jnp.zeros(32)},
        "down": {"kernel": normal(keys[3], (32, 10), 32), "bias": jnp.zeros(10)},
    }


def collate(images):
    """Images as they are stored, ``uint8 (B, 64)`` of 0 to 16, to ``float32 (B, 8, 8, 1)``."""
    return images.reshape(len(images), 8, 8, 1).astype("float32") / 16


def logits(params, batch):
    """Scores of the ten digits, ``float32 (B, 10)``."""
    x = batch
    for name, stride in (("conv_1", 1), ("conv_2", 2)):
        layer = params[name]
        x = jax.lax.conv_general_dilated(
            x, layer["kernel"], (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + layer["bias"])
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ params["up"]["kernel"] + params["up"]["bias"])
    return x @ params["down"]["kernel"] + params["down"]["bias"]


def pred_fn(params, batch):
    """What ``sdk predict`` runs: scores and the digit."""
    scores = logits(params, batch)
    return {"logits": scores, "label": jnp.argmax(scores, axis=-1)}
