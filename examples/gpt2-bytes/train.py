"""Train a small GPT-2 of bytes on the documentation strings of the standard library.

    python examples/gpt2-bytes/train.py                 # about a minute on two cores

Writes weights.pt beside this file. The text is read from the installed Python's own sources, so
there is nothing to download.
"""

import argparse
import ast
import sysconfig
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).parent
END = 256
BLOCK = 64


def docstrings():
    """Every documentation string of the standard library, in the order of its files."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("*.py")) + sorted(
        file
        for name in ("asyncio", "email", "json", "unittest")
        for file in folder.glob(f"{name}/*.py")
    )
    for file in files:
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield text


def tokens():
    """All of them as bytes, the end of text between two."""
    parts = [[*text.encode(), END] for text in docstrings()]
    return np.concatenate([np.array(part, dtype=np.int64) for part in parts])


def train(seconds, batch=8, seed=0):
    """The trained model, its loss on text it has not seen in bits a byte, and its steps."""
    torch.manual_seed(seed)
    data = torch.from_numpy(tokens())
    split = int(len(data) * 0.97)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(HERE / "config.json"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    random = np.random.default_rng(seed)
    start, steps = time.monotonic(), 0
    while (gone := time.monotonic() - start) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, gone / 3 + 0.05) * max(0.05, 1 - gone / seconds)
        at = random.integers(0, split - BLOCK - 1, batch)
        ids = torch.stack([data[i : i + BLOCK] for i in at])
        loss = model(ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
    model.eval()
    held = data[split:]
    held = held[: len(held) // BLOCK * BLOCK].reshape(-1, BLOCK)[:64]
    with torch.no_grad():
        bits = model(held, labels=held).loss.item() / np.log(2)
    return model, bits, steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--output", type=Path, default=HERE / "weights.pt")
    chosen = parser.parse_args()
    model, bits, steps = train(chosen.seconds)
    torch.save(model.state_dict(), chosen.output)
    print(f"{chosen.output}: {steps} steps, {bits:.2f} bits a byte on text it has not seen")


if __name__ == "__main__":
    main()
