"""Train two experts and a gate on the digits, through the pools that other clients would use.

Each expert sees the digits it is responsible for (0 to 4, and 5 to 9); the gate learns which of the
two an image belongs to. Several threads send mini-batches at once; whatever waits is one batch and
one step of the optimizer.

    python examples/experts/train.py [--epochs 30] [--output examples/experts/weights]
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from foretell_experts import BatchTensorDescriptor, ExpertBackend, Runtime
from model import Expert, Gate, flat

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "sdk" / "foretell" / "demo" / "digits.npz"
CLIENTS = 4
BATCH = 32


def backend(name, module, steps):
    """A module behind pools, with Adam, a falling learning rate and clipped gradients."""
    opt = torch.optim.Adam(module.parameters(), lr=5e-3)
    return ExpertBackend(
        name,
        module,
        opt,
        args_schema=(BatchTensorDescriptor(64),),
        schedule=torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps),
        clip_grad_norm=1.0,
        max_batch_size=4 * BATCH,
    )


def scores_of(pool, x):
    """One output of an expert for a mini-batch."""
    return pool.submit_task(x).result()[0]


def step(served, x, y):
    """What a client does: forward, its own loss, backward with the gradient of that loss."""
    scores = scores_of(served.forward_pool, x).requires_grad_()
    loss = torch.nn.functional.cross_entropy(scores, y)
    loss.backward()
    served.backward_pool.submit_task(x, scores.grad).result()
    return loss.item()


def train(served, x, y, epochs, seed):
    """Send all rows ``epochs`` times, in mini-batches, from several threads."""
    generator = np.random.default_rng(seed)
    for _ in range(epochs):
        order = generator.permutation(len(x))
        parts = [order[at : at + BATCH] for at in range(0, len(x), BATCH)]
        with ThreadPoolExecutor(CLIENTS) as clients:
            losses = list(clients.map(lambda part: step(served, x[part], y[part]), parts))
    return float(np.mean(losses))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--output", type=Path, default=HERE / "weights")
    given = options.parse_args()
    torch.manual_seed(0)
    with np.load(DATA) as data:
        images, labels, held_out = data["images"], data["labels"], data["held_out"]
    x = torch.from_numpy(flat(images[~held_out]))
    y = torch.from_numpy(labels[~held_out].astype("int64"))
    half = (y >= 5).long()
    jobs = {
        "low": (Expert(), half == 0, y),
        "high": (Expert(), half == 1, y),
        "gate": (Gate(), torch.ones_like(half, dtype=torch.bool), half),
    }
    served = {}
    for name, (module, mask, _) in jobs.items():
        parts = -(-int(mask.sum()) // BATCH)
        served[name] = backend(name, module, steps=given.epochs * parts)
    with Runtime(served) as runtime:
        for seed, (name, (_, mask, target)) in enumerate(jobs.items()):
            loss = train(served[name], x[mask], target[mask], given.epochs, seed)
            figures = runtime.statistics()[f"{name}_backward"]
            print(
                f"{name}: loss {loss:.3f}, {served[name].update_count} steps for "
                f"{figures['tasks']} mini-batches"
            )
    for name, trained in served.items():
        trained.save_checkpoint(given.output / f"{name}.safetensors")


if __name__ == "__main__":
    main()
