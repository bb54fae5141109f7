"""Generation from Python: without a run, and behind transformers' own ``generate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from foretell.abc import DeployContext
from foretell.errors import LoadError, RowFailure
from foretell.rows import row_keys
from foretell.types import Batch

from foretell_accelerator.artifact import Artifact
from foretell_accelerator.decoding.predictor import GeneratePredictor
from foretell_accelerator.decoding.roles import padded
from foretell_accelerator.deployer import AcceleratorDeployer
from foretell_accelerator.errors import ArtifactError, InputError
from foretell_accelerator.schema import as_array
from foretell_accelerator.settings import (
    AcceleratorOptions,
    GenerateOptions,
    Precision,
    PromptOptions,
)
from foretell_accelerator.source import PromptSource
from foretell_accelerator.targets.base import framework


def generate(
    data_dir: str | Sequence[str],
    *,
    model: Any = None,
    examples_to_generate: int | None = 20,
    batch_size: int = 1,
    target: str | None = None,
    precision: Precision | None = None,
    **options: Any,
) -> list[str]:
    """Texts for prompts, in order; nothing is stored.

    Args:
        data_dir: A ``.jsonl`` or ``.json`` file, a folder, an inline JSON text, or a list of these.
        model: A live decoder, instead of ``model_name_or_path``, ``config_name`` or ``artifact``.
        examples_to_generate: The first so many prompts; None for all.
        batch_size: Prompts at once.
        target: What runs the decoder; the artifact's own, or PyTorch as it is.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        options: Settings of the predictor ``generate``: ``model_name_or_path``, ``config_name``,
            ``checkpoint_name``, ``cache_dir``, ``max_seq_length``, ``max_tokens_to_generate``,
            ``prompt_key``, ``do_sample`` and the rest.

    Raises:
        ForetellError: as a run would; a prompt that cannot be used ends the call, by its place.
    """
    given = [data_dir] if isinstance(data_dir, str) else list(data_dir)
    key = options.get("prompt_key", "prompt")
    source = PromptSource(
        PromptOptions(
            data_dir=tuple(given), prompt_key=key, examples_to_generate=examples_to_generate
        )
    )
    predictor = GeneratePredictor(GenerateOptions(**options), model=model)
    deployer = AcceleratorDeployer(AcceleratorOptions(target=target, precision=precision))
    deployment = deployer.deploy(predictor, DeployContext(batch_size))
    try:
        texts: list[str] = []
        for start in range(0, len(source), batch_size):
            stop = min(start + batch_size, len(source))
            texts += _texts(source, predictor, deployment, start, stop)
        return texts
    finally:
        deployment.close()


def _texts(
    source: PromptSource, predictor: GeneratePredictor, deployment: Any, start: int, stop: int
) -> list[str]:
    read = source.read(start, stop)
    if read.errors:
        first = read.errors[0]
        raise LoadError(f"{first.locator}: {first.message}", slug="source-prompts")
    rows = np.arange(start, stop)
    try:
        inputs = predictor.collate(read.examples)
    except RowFailure as error:
        where = source.locate(start + error.positions[0])
        raise InputError(f"{where}: {error.message}", slug="generate-prompt") from error
    mask = np.ones(len(rows), dtype=bool)
    batch = Batch(inputs, rows, mask, row_keys(predictor.options.seed, rows))
    found: list[str] = deployment.collect(deployment.launch(batch))["text"]
    return found


@contextmanager
def driven(model: Any, artifact: Artifact) -> Iterator[Any]:
    """Let transformers' ``model.generate`` run on an artifact: inside, ``forward`` is the program.

    Ids, mask and positions are padded to the smallest compiled length that holds them, and the
    logits cut back. Its own cache is not used, so every token costs a full pass: for options of
    ``generate`` that Foretell's loop does not have (beams, say). Undone at the end.

    Args:
        model: A decoder of transformers; its weights are not used.
        artifact: With programs of the role ``full`` (compiled with ``use_cache = false``).

    Raises:
        ArtifactError: it has no such program.
    """
    if not any(program.role == "full" for program in artifact.programs):
        raise ArtifactError(
            "the artifact has no program for a full pass",
            facts=[("programs", ", ".join(program.name for program in artifact.programs))],
            tries=[("--set predictor.use_cache=false", "when it is compiled")],
            slug="artifact-decoder",
        )
    torch = framework("torch")
    outputs = framework("transformers.modeling_outputs")

    def forward(input_ids: Any, attention_mask: Any = None, **_: Any) -> Any:
        ids = as_array(input_ids)
        mask = np.ones_like(ids) if attention_mask is None else as_array(attention_mask)
        logits = torch.from_numpy(np.ascontiguousarray(_full_pass(artifact, ids, mask)))
        return outputs.CausalLMOutputWithPast(logits=logits)

    was_cached = model.generation_config.use_cache
    model.generation_config.use_cache = False
    model.forward = forward
    try:
        yield model
    finally:
        del model.forward
        model.generation_config.use_cache = was_cached


def _full_pass(artifact: Artifact, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Logits float32 ``(B, T, V)`` of ids and mask ``(B, T)``; padding may stand in front."""
    rows, length = ids.shape
    fitting = [p for p in artifact.programs if p.role == "full" and p.length >= length]
    if not fitting:
        longest = max(p.length for p in artifact.programs)
        raise InputError(
            "the text is longer than the artifact was compiled for",
            facts=[("tokens", str(length)), ("compiled", str(longest))],
            slug="artifact-length",
        )
    shortest = min(p.length for p in fitting)
    wide = padded(ids.tolist(), rows, shortest)
    wide["attention_mask"][:, :length] = mask
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    wide["position_ids"][:, :length] = positions
    found = artifact.rows(**wide)["logits"]
    return found[:, :length].astype(np.float32)
