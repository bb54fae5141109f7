"""Workload A's network as a plain torch module, seeded as the other one is."""

import torch
from mlp import MLP


class Module(torch.nn.Module):
    """float32 ``(B, 64)`` to float32 ``(B, 10)``."""

    def __init__(self):
        super().__init__()
        self.net = MLP().net

    def forward(self, x):
        return {"logits": self.net(x)}
