"""Settings of the predictor and the deployer. Imports no framework."""

from __future__ import annotations

from typing import Literal

from foretell.abc.options import IMPORT, DeployerOptions, PredictorOptions
from pydantic import Field

Precision = Literal["fp32", "bf16", "fp16", "bf16-true", "fp16-true"]


class TorchOptions(PredictorOptions):
    """``[predictor]`` with ``kind = "torch"``."""

    kind: str = Field(default="torch", description="torch")
    state_dict_key: str | None = Field(
        default=None,
        description="Entry of the checkpoint that holds the weights; found by itself when absent.",
    )
    strip_prefix: str | None = Field(
        default=None,
        description="Beginning of the weights' names to cut off, e.g. module. of a model trained "
        "with DataParallel; names without it are left out.",
    )
    strict: bool = Field(
        default=True,
        description="Whether weights that are missing or unexpected in the checkpoint are refused; "
        "those of another shape always are.",
    )


class LightningOptions(TorchOptions):
    """``[predictor]`` with ``kind = "lightning"``."""

    kind: str = Field(default="lightning", description="lightning")
    dataloader_idx: int = Field(
        default=0, ge=0, description="What predict_step is told, if it takes a dataloader_idx."
    )
    datamodule: str | None = Field(
        default=None,
        description="Import string of a LightningDataModule whose predict loader collates the "
        "examples; PyTorch's default_collate otherwise.",
        json_schema_extra=IMPORT,
    )
    datamodule_options: dict[str, object] = Field(
        default_factory=dict, description="Keyword arguments for the datamodule."
    )
    strategy: str | None = Field(
        default=None,
        description="auto or single_device. Others belong into your own Trainer; several devices "
        "are several workers here.",
    )


class TorchDeployerOptions(DeployerOptions):
    """``[deployer]`` with ``kind = "torch"``."""

    kind: str = Field(default="torch", description="torch")
    device: str = Field(
        default="auto",
        description="auto, cpu, cuda or cuda:N. auto and cuda give worker i the device i modulo "
        "their number; auto is the CPU where there is no CUDA.",
        pattern=r"^(auto|cpu|cuda|cuda:\d+)$",
    )
    precision: Precision = Field(
        default="fp32",
        description="fp32; bf16 and fp16 compute under autocast; bf16-true and fp16-true cast "
        "the weights and floating inputs too.",
    )
    compile: bool = Field(default=False, description="Whether the module goes through compile.")
    compile_mode: str | None = Field(
        default=None, description="Mode of torch.compile, e.g. reduce-overhead."
    )
    compile_backend: str = Field(default="inductor", description="Backend of torch.compile.")
    channels_last: bool = Field(
        default=False,
        description="Whether weights and inputs of four dimensions are laid out channels-last.",
    )
    slots: int | None = Field(
        default=None,
        ge=1,
        description="Batches computed at once in one worker process: by default one a core (16 at "
        "most) on a CPU, 1 on CUDA. More than one calls the module from several threads.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads inside one operation, 1 by default, so that results do not depend on "
        "the number of workers.",
    )
