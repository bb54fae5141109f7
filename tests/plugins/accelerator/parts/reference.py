"""Greedy text the plain way: one prompt, no padding, no cache, the eager model."""

import numpy as np


def greedy(logits_of, prompt, most, stops=(256,), longest=None):
    """Tokens after a prompt, and the least difference of the two best logits."""
    ids, margin = list(prompt), float("inf")
    made: list[int] = []
    while len(made) < most and (longest is None or len(ids) <= longest):
        logits = logits_of(ids)
        best = np.partition(logits, -2)[-2:]
        margin = min(margin, float(best[1] - best[0]))
        token = int(logits.argmax())
        ids.append(token)
        made.append(token)
        if token in stops:
            break
    return made, margin


def torch_logits(model):
    import torch

    def logits_of(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0, -1].numpy()

    return logits_of


def plain_logits(function):
    def logits_of(ids):
        count = len(ids)
        found = function(np.array([ids]), np.ones((1, count), "int64"), np.arange(count)[None])[
            "logits"
        ]
        return np.asarray(found)[0, -1]

    return logits_of
