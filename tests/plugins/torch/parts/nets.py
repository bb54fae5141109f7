"""Modules, datasets and LightningModules that the tests name as a job would."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn


class Small(nn.Module):
    """6 numbers to 3."""

    def __init__(self, width=8, fail_above=None):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 3))
        self.fail_above = fail_above

    def forward(self, x):
        if self.fail_above is not None and bool((x > self.fail_above).any()):
            raise ValueError("a number is too large")
        return self.net(x)


@dataclass
class Answer:
    logits: torch.Tensor
    pair: tuple[object, ...]
    nothing: object = None


class Nested(nn.Module):
    """Inputs by name, outputs in a dataclass; a parameter is a buffer."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("weight", torch.randn(6, 3, generator=generator))

    def forward(self, x, y):
        logits = x @ self.weight
        return Answer(logits, (logits.argmax(1), {"deep": y * 2.0}))


class Noisy(nn.Module):
    """Adds noise from each row's own key."""

    def forward(self, x, rows, mask, keys):
        noise = (keys.double() / 2.0**32).sum(1)
        return {"noise": x[:, 0].double() + noise, "real": mask, "row": rows.clamp(min=0) >= 0}


class Spoils(nn.Module):
    """Writes into its input."""

    def forward(self, x):
        x += 1
        return x.sum(1)


class Picture(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))


def built(width=8):
    torch.manual_seed(0)
    return Small(width)


seeded = built()


def with_path(checkpoint=None):
    made = Small()
    made.load_state_dict(torch.load(checkpoint, weights_only=True))
    return made


def not_a_module():
    return 7


def breaks():
    raise KeyError("no such thing")


def by_name(rows):
    return {"x": rows[:, :6], "y": rows[:, 0]}


def named(logits):
    return {"logits": logits, "label": ["abc"[at] for at in logits.argmax(1)]}


class Numbers(torch.utils.data.Dataset):
    """Items with a tensor, an array and a text; one may be broken."""

    def __init__(self, n=24, broken=(), path=None):
        self.n, self.broken, self.path = n, tuple(broken), path

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if index in self.broken:
            raise OSError if index < 0 else ValueError(f"item {index}\nis broken")
        values = torch.arange(6.0) + index
        extra = 0 if self.path is None else len(Path(self.path).read_text())
        return {"x": values, "n": np.float32(index + extra), "name": f"item {index}"}


class Vectors(torch.utils.data.Dataset):
    def __init__(self, n=24):
        generator = np.random.default_rng(0)
        self.x = generator.normal(size=(n, 6)).astype("float32")

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return torch.from_numpy(self.x[index])


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from range(3)


table = [{"x": np.float32(i)} for i in range(5)]
