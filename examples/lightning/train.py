"""Train the classifier and write its checkpoint: python examples/lightning/train.py"""

import argparse
from pathlib import Path

import lightning as L
from module import DigitsData, DigitsModule

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "digits.ckpt")
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    L.seed_everything(0, verbose=False)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=arguments.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(DigitsModule(), datamodule=DigitsData())
    trainer.save_checkpoint(arguments.output, weights_only=True)
    print(f"weights in {arguments.output}")


if __name__ == "__main__":
    main()
