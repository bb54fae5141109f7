"""Settings: ``[predictor]`` and ``[deployer]`` with ``kind = "jax"``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from foretell.abc.options import IMPORT, DeployerOptions, PredictorOptions
from foretell.config.schedule import Size
from pydantic import Field, model_validator

RuleEntry = tuple[list[str], list[str | list[str]]]
"""``[["mlp", "up_proj"], ["", "mp"]]``: expressions, then an axis for each dimension."""


class JaxOptions(PredictorOptions):
    """``[predictor]`` with ``kind = "jax"``."""

    kind: str = Field(default="jax", description="jax")
    params: str | None = Field(
        default=None,
        description="Import string of a function that gives the parameters, where no checkpoint "
        "does. With a parameter called rng it is traced as an initialiser.",
        json_schema_extra=IMPORT,
    )
    format: Literal["auto", "safetensors", "orbax", "msgpack"] = Field(
        default="auto", description="Format of the checkpoint; auto goes by its name."
    )
    factory: bool = Field(
        default=False,
        description="Whether model is a function that returns the pred_fn or module, called once "
        "per worker with options.",
    )


class JaxDeployerOptions(DeployerOptions):
    """``[deployer]`` with ``kind = "jax"``."""

    kind: str = Field(default="jax", description="jax")
    mesh: dict[str, Annotated[int, Field(gt=0)]] | None = Field(
        default=None,
        description="Axes of the mesh, { dp = 4, mp = 2 }: rows over dp, the model over the "
        "others. Without dp, rows take the devices that are left.",
    )
    n_model_shards: int | None = Field(
        default=None, gt=0, description="Model shards, instead of mesh; rows take the rest."
    )
    rules: Literal["auto", "replicated"] | tuple[RuleEntry, ...] = Field(
        default="auto",
        description='Sharding rules, [[["up_proj", "kernel"], ["", "mp"]], …]; auto makes them '
        "from names and shapes, replicated splits nothing.",
    )
    precision: Literal["fp32", "bf16", "fp16"] | None = Field(
        default=None,
        description="What float parameters and inputs are cast to; outputs then are float32.",
    )
    processes: int = Field(default=1, ge=1, description="Worker processes that form one mesh.")
    simulated_devices: int | None = Field(
        default=None, ge=1, description="CPU devices that each process pretends to have."
    )
    platform: str | None = Field(
        default=None, description="cpu, cuda, rocm or tpu; what JAX finds by default."
    )
    buckets: tuple[Annotated[int, Field(gt=0)], ...] | None = Field(
        default=None,
        description="Batch sizes that programs are compiled for, the batch size among them; "
        "that size and its halves by default.",
    )
    donate: bool = Field(
        default=True, description="Whether programs may reuse the memory of their inputs."
    )
    compilation_cache: bool = Field(
        default=True, description="Whether compiled programs are kept for the next start."
    )
    device_memory: Size | None = Field(
        default=None, description="Memory of one device, for the check that parameters fit."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.mesh is not None and self.n_model_shards is not None:
            raise ValueError("give mesh or n_model_shards, not both")
        return self
