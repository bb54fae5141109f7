"""Train the convolutional network on three quarters of the digits and write its weights.

    python examples/digits-jax/train.py [--output FILE]

Needs optax beside JAX. Seeded; a few seconds on one core.
"""

import argparse
from pathlib import Path

import jax
import numpy as np
import optax
from cnn import collate, init, logits
from safetensors.flax import save_file

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "sdk" / "foretell" / "demo" / "digits.npz"
EPOCHS = 30
BATCH = 64


def train(images, labels, seed=0):
    """Adam on batches drawn anew in every epoch."""
    params = init(jax.random.PRNGKey(seed))
    optimizer = optax.adam(2e-3)
    state = optimizer.init(params)

    def loss(params, x, y):
        scores = logits(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()

    @jax.jit
    def step(params, state, x, y):
        updates, state = optimizer.update(jax.grad(loss)(params, x, y), state)
        return optax.apply_updates(params, updates), state

    rng = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            batch = order[at : at + BATCH]
            params, state = step(params, state, images[batch], labels[batch])
    return params


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "cnn.safetensors")
    output = parser.parse_args().output
    with np.load(DATA) as data:
        images, labels, held_out = collate(data["images"]), data["labels"], data["held_out"]
    params = train(images[~held_out], labels[~held_out].astype(np.int32))
    save_file({f"{a}.{b}": leaf for a, part in params.items() for b, leaf in part.items()}, output)
    right = np.asarray(logits(params, images)).argmax(axis=1) == labels
    print(
        f"accuracy   {right[~held_out].mean():.4f} trained, {right[held_out].mean():.4f} held out"
    )


if __name__ == "__main__":
    main()
