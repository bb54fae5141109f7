"""Settings of the predictors, the deployer and the source. Imports no framework."""

from __future__ import annotations

from typing import Any, Literal

from foretell.abc.options import (
    IMPORT,
    PATH,
    DeployerOptions,
    PredictorOptions,
    SourceOptions,
)
from pydantic import Field

Precision = Literal["fp32", "bf16", "fp16"]


class ArtifactOptions(PredictorOptions):
    """``[predictor]`` with ``kind = "artifact"``."""

    kind: str = Field(default="artifact", description="artifact")
    artifact: str | None = Field(
        default=None,
        description="Folder that sdk compile made. Without one the model is compiled when it is "
        "deployed, into the cache.",
        json_schema_extra=PATH,
    )


class GenerateOptions(PredictorOptions):
    """``[predictor]`` with ``kind = "generate"``."""

    kind: str = Field(default="generate", description="generate")
    artifact: str | None = Field(
        default=None,
        description="Folder that sdk compile made. Without one the decoder is compiled when it is "
        "deployed, into the cache, or run as it is with the target torch.",
        json_schema_extra=PATH,
    )
    model_name_or_path: str | None = Field(
        default=None,
        description="Folder of a pretrained decoder, or its name on a hub (see allow_download).",
        json_schema_extra=PATH,
    )
    config_name: str | None = Field(
        default=None,
        description="Configuration file or folder of a decoder to build; its weights come from "
        "checkpoint_name.",
        json_schema_extra=PATH,
    )
    checkpoint_name: str | None = Field(
        default=None,
        description="File with weights whose names match those of the model.",
        json_schema_extra=PATH,
    )
    cache_dir: str | None = Field(
        default=None, description="Where names on a hub are kept.", json_schema_extra=PATH
    )
    allow_download: bool = Field(
        default=False, description="Whether names on a hub may be downloaded."
    )
    tokenizer: str | None = Field(
        default=None,
        description="bytes (one token a byte of UTF-8), a folder with a tokenizer of transformers, "
        "or an import string of your own; beside the model or in the artifact by default.",
        json_schema_extra=IMPORT,
    )
    max_seq_length: int | None = Field(
        default=None, ge=1, description="The longest compiled length; the model's own by default."
    )
    lengths: tuple[int, ...] | None = Field(
        default=None,
        description="Lengths to compile for, in tokens, prompt and continuation together; each row "
        "uses the smallest it fits into. max_seq_length alone by default.",
    )
    batch_sizes: tuple[int, ...] | None = Field(
        default=None,
        description="Batch sizes to compile for; batch_size alone by default.",
    )
    use_cache: bool | None = Field(
        default=None,
        description="Whether keys and values of earlier tokens are kept, so that a token costs one "
        "step; by default wherever model and target allow it.",
    )
    max_tokens_to_generate: int = Field(
        default=20, ge=1, description="Most tokens generated after a prompt."
    )
    prompt_key: str = Field(default="prompt", description="Key of the prompt in a record.")
    keep_prompt: bool = Field(
        default=True,
        description="Whether the text begins with the prompt or is trimmed to what was generated.",
    )
    too_long: Literal["refuse", "cut-start", "cut-end"] = Field(
        default="refuse",
        description="What happens to a prompt longer than the longest compiled length: its row is "
        "refused, or tokens are cut from its start or end; how many is recorded in the row.",
    )
    do_sample: bool = Field(
        default=False, description="Whether tokens are drawn; the likeliest is taken otherwise."
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Logits are divided by it before a token is drawn."
    )
    top_k: int | None = Field(
        default=None, ge=1, description="Draw from the likeliest this many tokens only."
    )
    top_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Draw from the likeliest tokens that together reach this probability only.",
    )
    stop_tokens: tuple[int | str, ...] | None = Field(
        default=None,
        description="Tokens that end a text, as numbers or as text of one token each; the "
        "tokenizer's end of text by default.",
    )
    logprobs: bool = Field(
        default=False, description="Whether each token's log-probability is an output."
    )


class AcceleratorOptions(DeployerOptions):
    """``[deployer]`` with ``kind = "accelerator"``."""

    kind: str = Field(default="accelerator", description="accelerator")
    target: str | None = Field(
        default=None,
        description="What compiles and runs the model: torch (as it is), aot-inductor, openvino, "
        "onnxruntime, jax-export, sambaflow, or another package's. The artifact's own when there "
        "is one.",
    )
    precision: Precision | None = Field(
        default=None,
        description="fp32 (the default), bf16 or fp16, where the target has it. What it costs is "
        "measured when the model is compiled.",
    )
    device: Literal["cpu", "cuda"] | None = Field(
        default=None, description="cpu by default; cuda where the target compiles for it."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the target, for its compiler or runtime."
    )
    rewrites: tuple[str, ...] = Field(
        default=(), description="Rewrites of the model before it is compiled, undone afterwards."
    )
    slots: int | None = Field(
        default=None,
        ge=1,
        description="Batches computed at once in one worker process, 1 by default.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads inside one run of a program; the cores divided by the slots by "
        "default.",
    )


class PromptOptions(SourceOptions):
    """``[source]`` with ``kind = "prompts"``."""

    kind: str = Field(default="prompts", description="prompts")
    data_dir: str | tuple[str, ...] | None = Field(
        default=None,
        description="A .jsonl or .json file, a folder with such files, an inline JSON text, or a "
        "list of these; beside path or instead of it.",
    )
    prompt_key: str = Field(default="prompt", description="Key of the prompt in a record.")
    examples_to_generate: int | None = Field(
        default=None, ge=0, description="Only the first so many prompts; all of them by default."
    )
