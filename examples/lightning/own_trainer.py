"""Predict with one's own Trainer and the callback: python examples/lightning/own_trainer.py

Interrupt it and start it again: what is stored is neither computed nor written twice.
"""

import argparse
from pathlib import Path

import lightning as L
import torch
from foretell import demo
from foretell_torch import PredictionWriter, read_predictions
from module import DigitsData, DigitsModule

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=HERE / "digits.ckpt")
    parser.add_argument("--output", type=Path, default=HERE / "runs" / "own")
    arguments = parser.parse_args()
    module = DigitsModule()
    content = torch.load(arguments.checkpoint, weights_only=True)
    module.load_state_dict(content["state_dict"])
    data = DigitsData()
    data.setup("predict")
    writer = PredictionWriter(arguments.output, write_interval="batch")
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[writer]
    )
    loader = writer.remaining(data.predict_dataloader())
    trainer.predict(module, loader, return_predictions=False)
    label = read_predictions(arguments.output)["label"]
    print(f"{len(label)} digits, {demo.accuracy(label).held_out:.1%} of those held out are right")


if __name__ == "__main__":
    main()
