"""The demo's model: a small network that reads handwritten digits, in NumPy alone."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np


class Digits:
    """Recognises 8 x 8 images of digits: 64 inputs, one hidden layer, 10 classes.

    Args:
        checkpoint: ``.npz`` file with float32 ``w1 (64, h)``, ``b1 (h,)``, ``w2 (h, 10)``,
            ``b2 (10,)``, as ``examples/digits/train.py`` writes it.
        delay: Seconds to wait in every batch, for watching a run that would be over too soon.
    """

    def __init__(self, checkpoint: str | Path, delay: float = 0.0) -> None:
        with np.load(checkpoint, allow_pickle=False) as weights:
            self.w1, self.b1, self.w2, self.b2 = (weights[n] for n in ("w1", "b1", "w2", "b2"))
        self.delay = delay

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Classify a batch.

        Args:
            images: uint8 ``(B, 64)``, brightness 0 to 16.

        Returns:
            ``label`` uint8 ``(B,)`` and ``probability`` float32 ``(B, 10)``.
        """
        if self.delay:
            time.sleep(self.delay)
        hidden = np.maximum(images.astype(np.float32) / 16 @ self.w1 + self.b1, 0)
        logits = hidden @ self.w2 + self.b2
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        return {
            "label": logits.argmax(axis=1).astype(np.uint8),
            "probability": scores / scores.sum(axis=1, keepdims=True),
        }
