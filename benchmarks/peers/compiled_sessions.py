"""Bare sessions of compiled models, for benchmarks/accelerator.py; each call one process.

compile MODEL TARGET PRECISION DIR · time MODEL TARGET PRECISION DIR · data MODEL ROWS FILE ·
loop MODEL DIR FILE OUT · decoder CACHE DIR · generate DIR TOKENS
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

LENGTH = 128
BATCH = {"gpt2": 4, "minilm": 16}


def collate_gpt2(rows):
    """Token ids of a matrix of them."""
    return {"input_ids": np.asarray(rows, dtype=np.int64)}


def collate_minilm(rows):
    """Token ids and a mask that keeps all of them."""
    ids = np.asarray(rows, dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


COLLATE = {"gpt2": collate_gpt2, "minilm": collate_minilm}


def gpt2():
    """Four layers of GPT-2's width, random weights."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(n_layer=4, n_embd=256, n_head=4, n_positions=256, vocab_size=8192)
    return GPT2LMHeadModel(config).eval()


def model_of(name):
    """The module that is compiled."""
    import torch

    if name == "minilm":
        sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "minilm-compiled"))
        from model import build

        return build()
    inner = gpt2()

    class Logits(torch.nn.Module):
        """Logits of every position under a causal mask."""

        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, input_ids):
            length = input_ids.shape[1]
            low = torch.finfo(torch.float32).min
            mask = torch.full((length, length), low).triu(1)[None, None]
            mask = mask.expand(input_ids.shape[0], 1, length, length)
            places = torch.arange(length)[None].expand(input_ids.shape[0], length)
            found = self.inner(input_ids, attention_mask=mask, position_ids=places, use_cache=False)
            return {"last": found.logits[:, -1]}

    return Logits().eval()


def rows_of(name, count):
    """Token ids int64 ``(count, 128)``."""
    return np.random.default_rng(0).integers(1, 8000, (count, LENGTH), dtype=np.int64)


def compile_one(name, target, precision, folder):
    """Compile, unless the model runs as it is."""
    from foretell_accelerator import compile

    clock = time.perf_counter()
    if target != "torch":
        folder = Path(folder)
        inputs = COLLATE[name](rows_of(name, BATCH[name]))
        compile(
            model_of(name), inputs, folder.parent, folder.name, target, precision=precision
        ).close()
    return {"seconds": time.perf_counter() - clock}


def time_one(name, target, precision, folder):
    """Median milliseconds of a batch."""
    inputs = COLLATE[name](rows_of(name, BATCH[name]))
    if target == "torch":
        import torch

        torch.set_num_threads(2)
        model = model_of(name)
        tensors = {key: torch.from_numpy(array) for key, array in inputs.items()}

        def once():
            with torch.inference_mode():
                model(**tensors)
    else:
        from foretell_accelerator import load

        artifact = load(folder, threads=2)

        def once():
            artifact.run(**inputs)

    for _ in range(3):
        once()
    taken = []
    for _ in range(15):
        clock = time.perf_counter()
        once()
        taken.append(time.perf_counter() - clock)
    return {"ms": 1000 * float(np.median(taken))}


def write_data(name, rows, file):
    """The rows of the source."""
    np.save(Path(file).with_suffix(".npy"), rows_of(name, int(rows)))
    return {}


def loop(name, folder, file, out):
    """Read, run, write: what a script would do, one batch after the other."""
    import zarr
    from foretell_accelerator import load

    artifact = load(folder, threads=2)
    size = BATCH[name]
    path = Path(file).with_suffix(".npy")
    artifact.run(**COLLATE[name](np.load(path, mmap_mode="r")[:size]))
    clock = time.perf_counter()
    rows = np.load(path, mmap_mode="r")
    group = zarr.create_group(out)
    arrays = {}
    for start in range(0, len(rows), size):
        found = artifact.run(**COLLATE[name](rows[start : start + size]))
        for key, values in found.items():
            if key not in arrays:
                arrays[key] = group.create_array(
                    key,
                    shape=(len(rows), *values.shape[1:]),
                    chunks=(8 * size, *values.shape[1:]),
                    dtype=values.dtype,
                )
            arrays[key][start : start + size] = values
    return {"seconds": time.perf_counter() - clock}


def decoder(cache, folder):
    """Compile the decoder with or without a cache."""
    from foretell_accelerator.compiling import Recipe, build
    from foretell_accelerator.decoding.programs import Grid, plan

    model = gpt2()
    grid = Grid((LENGTH,), (4,), bool(int(cache)), 8192)
    facts = {"lengths": [LENGTH], "tokenizer": "bytes"}
    build(plan(model, grid), Path(folder), "decoder", Recipe("openvino", decoder=facts))
    return {}


def generate(folder, tokens):
    """Tokens per second after prompts of 32 tokens."""
    from foretell_accelerator import load
    from foretell_accelerator.decoding.decoder import Decoder
    from foretell_accelerator.decoding.loop import Generator, Limits, Request
    from foretell_accelerator.decoding.sampling import Sampling

    generator = Generator(Decoder(load(folder, threads=2)), Sampling(), Limits(int(tokens)))
    key = np.zeros(2, dtype=np.uint32)
    requests = [Request(row[:32].tolist(), key) for row in rows_of("gpt2", 4)]
    generator.generate(requests)
    generator.speed.tokens, generator.speed.seconds = 0, 0.0
    generator.generate(requests)
    return {"rate": generator.speed.to_json()["tokens_per_second"]}


VERBS = {
    "compile": compile_one,
    "time": time_one,
    "data": write_data,
    "loop": loop,
    "decoder": decoder,
    "generate": generate,
}

if __name__ == "__main__":
    print(json.dumps(VERBS[sys.argv[1]](*sys.argv[2:])))
