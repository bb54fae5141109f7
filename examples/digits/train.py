"""Train the digits network and write it, with its data, to where the demo and this example find it.

Needs scikit-learn, which brings the images; the training itself is NumPy alone and seeded, so the
same machine gives the same weights.

    python examples/digits/train.py [--output FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

DEMO = Path(__file__).resolve().parents[2] / "sdk" / "foretell" / "demo"
HIDDEN = 64
EPOCHS = 60
BATCH = 64
RATE = 3e-3
DECAY = 1e-4


def split(n, seed=0):
    """True for the quarter of the rows that is kept away from the training."""
    held_out = np.zeros(n, dtype=bool)
    held_out[np.random.default_rng(seed).permutation(n)[: n // 4]] = True
    return held_out


def start(rng):
    """Weights before the training, scaled for rectified units (He et al., 2015)."""
    return {
        "w1": rng.normal(0, np.sqrt(2 / 64), (64, HIDDEN)).astype(np.float32),
        "b1": np.zeros(HIDDEN, np.float32),
        "w2": rng.normal(0, np.sqrt(2 / HIDDEN), (HIDDEN, 10)).astype(np.float32),
        "b2": np.zeros(10, np.float32),
    }


def gradients(p, x, y):
    """Gradients of the mean cross-entropy of a batch."""
    hidden = np.maximum(x @ p["w1"] + p["b1"], 0)
    logits = hidden @ p["w2"] + p["b2"]
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    slope = scores / scores.sum(axis=1, keepdims=True)
    slope[np.arange(len(y)), y] -= 1
    slope /= len(y)
    below = slope @ p["w2"].T * (hidden > 0)
    return {
        "w1": x.T @ below + DECAY * p["w1"],
        "b1": below.sum(axis=0),
        "w2": hidden.T @ slope + DECAY * p["w2"],
        "b2": slope.sum(axis=0),
    }


def train(x, y, seed=0):
    """Adam (Kingma and Ba, 2015) on batches drawn anew in every epoch."""
    rng = np.random.default_rng(seed)
    p = start(rng)
    mean = {k: np.zeros_like(v) for k, v in p.items()}
    square = {k: np.zeros_like(v) for k, v in p.items()}
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for at in range(0, len(x), BATCH):
            step += 1
            batch = order[at : at + BATCH]
            for k, g in gradients(p, x[batch], y[batch]).items():
                mean[k] += 0.1 * (g - mean[k])
                square[k] += 0.001 * (g * g - square[k])
                fair = mean[k] / (1 - 0.9**step)
                p[k] -= RATE * fair / (np.sqrt(square[k] / (1 - 0.999**step)) + 1e-8)
    return p


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DEMO)
    folder = parser.parse_args().output
    digits = load_digits()
    images, labels = digits.data.astype(np.uint8), digits.target.astype(np.uint8)
    held_out = split(len(images))
    weights = train(images[~held_out].astype(np.float32) / 16, labels[~held_out])
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "digits.npz", images=images, labels=labels, held_out=held_out)
    np.savez_compressed(folder / "weights.npz", **weights)
    report(folder, images, labels, held_out)


def report(folder, images, labels, held_out):
    """Accuracy of what was written, through the model that jobs use."""
    from foretell.demo.model import Digits

    right = Digits(folder / "weights.npz")(images)["label"] == labels
    print(f"trained on {(~held_out).sum()}, held out {held_out.sum()}")
    print(
        f"accuracy   {right[~held_out].mean():.4f} trained, {right[held_out].mean():.4f} held out"
    )


if __name__ == "__main__":
    main()
