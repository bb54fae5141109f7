"""One way to predict a list of examples with JAX: ours, redco's, or a plain loop around ``jit``.

Prints the seconds of the second call: the first one compiles. All get the same examples (a list of
dicts), the same ``collate_fn`` and the same network, and return a list with an item for each row.
"""

from __future__ import annotations

import argparse
import gc
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from peers.clock import job

WIDTHS = (64, 256, 256, 10)


def network():
    """Weights of a small MLP."""
    rng = np.random.default_rng(0)
    return {
        f"layer_{at}": {"kernel": rng.normal(size=shape).astype(np.float32) / shape[0] ** 0.5}
        for at, shape in enumerate(itertools.pairwise(WIDTHS))
    }


def forward(params, x):
    """Scores."""
    for at in range(len(WIDTHS) - 2):
        x = jax.nn.relu(x @ params[f"layer_{at}"]["kernel"])
    return x @ params[f"layer_{len(WIDTHS) - 2}"]["kernel"]


def collate(examples):
    """Stack the rows."""
    return {"x": np.stack([example["x"] for example in examples])}


def pred_fn(rng, params, batch):
    """redco's form of a model."""
    return {"logits": forward(params, batch["x"])}


def plain_loop(examples, batch, params):
    """What one would write: collate, one jitted call, back to the host, rows apart."""
    step = jax.jit(lambda params, batch: {"logits": forward(params, batch["x"])})
    placed = jax.device_put(params)

    def predict():
        found = []
        for at in range(0, len(examples), batch):
            rows = examples[at : at + batch]
            filled = rows + rows[:1] * (batch - len(rows))
            logits = np.asarray(step(placed, collate(filled))["logits"])[: len(rows)]
            found += [{"logits": row} for row in logits]
        return found

    return predict


def ours(examples, batch, params):
    """foretell_jax."""
    from foretell_jax import Deployer, Predictor

    predictor = Predictor(Deployer(jax_seed=0, verbose=False), collate, pred_fn)
    return lambda: predictor.predict(examples, batch, params)


def redco(examples, batch, params):
    """redco itself."""
    from redco import Deployer, Predictor

    deployer = Deployer(jax_seed=0, verbose=False)
    predictor = Predictor(deployer, collate_fn=collate, pred_fn=pred_fn)
    return lambda: predictor.predict(examples, batch, params)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("who", choices=("plain_loop", "ours", "redco"))
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    given = parser.parse_args()
    rows = np.random.default_rng(1).standard_normal((given.rows, WIDTHS[0]), np.float32)
    examples = [{"x": row} for row in rows]
    params = jax.tree.map(jnp.asarray, network())
    predict = globals()[given.who](examples, given.batch, params)
    first = predict()
    gc.collect()
    with job():
        found = predict()
    want = np.asarray(forward(params, rows[-5:]))
    np.testing.assert_allclose([np.asarray(f["logits"]) for f in found[-5:]], want, atol=1e-4)
    assert len(found) == len(first) == given.rows


if __name__ == "__main__":
    main()
