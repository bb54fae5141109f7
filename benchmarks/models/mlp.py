"""Workload A's model: 64-256-256-10 in PyTorch, seeded."""

import torch


class MLP:
    """A light network on float32 ``(B, 64)``; gives float32 ``(B, 10)``."""

    def __init__(self):
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(64, 256),
            torch.nn.ReLU(),
            torch.nn.Linear(256, 256),
            torch.nn.ReLU(),
            torch.nn.Linear(256, 10),
        ).eval()

    def __call__(self, x):
        """Logits of a batch, NumPy in and out."""
        with torch.inference_mode():
            return {"logits": self.net(torch.from_numpy(x)).numpy()}
