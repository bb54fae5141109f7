"""What a Trainer predicts with: workload A's network on rows in memory, B's on texts."""

import importlib.util
import json
from pathlib import Path

import lightning
import torch
from models.mlp import MLP


class Light(lightning.LightningModule):
    """Workload A's network."""

    def __init__(self):
        super().__init__()
        self.net = MLP().net

    def predict_step(self, batch, batch_idx):
        return {"logits": self.net(batch)}


class Rows(torch.utils.data.Dataset):
    """Rows that are fetched a batch at once; they repeat after 16,384."""

    def __init__(self, n):
        self.n = n
        self.rows = torch.randn(16_384, 64, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return self.n

    def __getitems__(self, indices):
        return self.rows[torch.tensor(indices) % len(self.rows)]


class Heavy(lightning.LightningModule):
    """Workload B's network."""

    def __init__(self, minilm):
        super().__init__()
        self.net = minilm.MiniLM()

    def predict_step(self, batch, batch_idx):
        return self.net(**batch)


class Texts(torch.utils.data.Dataset):
    """Records with a text each."""

    def __init__(self, path):
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        self.records = [json.loads(line) for line in lines]

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]


def light(rows, batch, path):
    """The light network, and what makes its loader."""
    dataset = Rows(rows)
    return Light().eval(), lambda: torch.utils.data.DataLoader(
        dataset, batch, collate_fn=lambda rows: rows
    )


def heavy(rows, batch, path):
    """The heavy network, and what makes its loader; texts become tokens a batch at a time."""
    minilm = _example()
    dataset = Texts(path)

    def collate(records):
        return {name: torch.from_numpy(v) for name, v in minilm.collate(records).items()}

    return Heavy(minilm).eval(), lambda: torch.utils.data.DataLoader(
        dataset, batch, collate_fn=collate
    )


def _example():
    file = Path(__file__).parents[2] / "examples" / "minilm" / "model.py"
    spec = importlib.util.spec_from_file_location("minilm_model", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
