"""A classifier of handwritten digits as a LightningModule, and the data it reads."""

import lightning as L
import numpy as np
import torch
from foretell import demo
from torch.utils.data import DataLoader, TensorDataset


class DigitsModule(L.LightningModule):
    """One hidden layer from 64 pixels to 10 digits."""

    def __init__(self, width=64):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, 10)
        )

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return torch.nn.functional.cross_entropy(self.net(images), labels)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=3e-3)

    def predict_step(self, batch, batch_idx):
        (images,) = batch
        logits = self.net(images)
        return {"logits": logits, "label": logits.argmax(1)}


class DigitsData(L.LightningDataModule):
    """The digits that come with Foretell: three quarters to train on, all of them to predict."""

    def setup(self, stage):
        with np.load(demo.HERE / "digits.npz") as data:
            self.images = torch.from_numpy(data["images"].reshape(-1, 64).astype("float32") / 16)
            self.labels = torch.from_numpy(data["labels"].astype("int64"))
            self.held_out = torch.from_numpy(data["held_out"].astype(bool))

    def train_dataloader(self):
        known = ~self.held_out
        data = TensorDataset(self.images[known], self.labels[known])
        return DataLoader(data, batch_size=64, shuffle=True)

    def predict_dataloader(self):
        return DataLoader(TensorDataset(self.images), batch_size=64)
