"""Two experts on halves of the digits, and a gate that says which half an image belongs to."""

import torch
from torch import nn


class Expert(nn.Module):
    """Images to ten scores."""

    def __init__(self, hidden=32):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def forward(self, images):
        return {"scores": torch.log_softmax(self.layers(images), dim=1)}


class Gate(nn.Module):
    """Images to one score for each expert."""

    def __init__(self, experts=2, hidden=32):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, experts))

    def forward(self, images):
        return self.layers(images)


def label(predictions):
    """The best score's digit, beside the scores and the experts they come from."""
    return {**predictions, "label": predictions["scores"].argmax(axis=1).astype("uint8")}


def flat(images):
    """Pixels as the network sees them: 64 numbers from 0 to 1."""
    return images.reshape(len(images), -1).astype("float32") / 16
