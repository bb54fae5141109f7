"""Settings of the predictor and the deployer. Nothing here imports a framework."""

from __future__ import annotations

from typing import Any, Literal

from foretell.abc import DeployerOptions, PredictorOptions
from pydantic import BaseModel, ConfigDict, Field, model_validator


class ExpertSettings(BaseModel):
    """One entry of ``[[predictor.experts]]``."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(description="Name of the expert.", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    model: str = Field(
        description="Import string of a torch module's class, or of a function that makes one."
    )
    checkpoint: str | None = Field(
        default=None, description="Its weights: .safetensors, or .pt read without pickled code."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments for the class or function."
    )
    memory: int | None = Field(
        default=None,
        ge=0,
        description="Bytes it holds when loaded; the size of its checkpoint by default.",
    )


class RouterSettings(BaseModel):
    """``[predictor.router]``: which experts answer for a row, and with what weight."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    function: str | None = Field(
        default=None,
        description="Import string of a function: inputs -> (experts, weights), or experts alone.",
    )
    gate: str | None = Field(
        default=None,
        description="Import string of the class of a learnt gate, or of a function that makes it: "
        "a torch module inputs -> one score for each expert.",
    )
    checkpoint: str | None = Field(default=None, description="The gate's weights.")
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Keyword arguments for making the gate, or for every call of the function.",
    )
    top_k: int = Field(default=1, ge=1, description="Experts a gate chooses for each row.")

    @model_validator(mode="after")
    def _one_of_two(self) -> RouterSettings:
        if (self.function is None) == (self.gate is None):
            raise ValueError("a router is either a function or a gate: name one of the two")
        return self

    @property
    def model(self) -> str:
        """The import string, whichever it is."""
        return str(self.function or self.gate)


class ExpertsOptions(PredictorOptions):
    """``[predictor]`` with ``kind = "experts"``."""

    kind: str = Field(default="experts", description="experts")
    experts: tuple[ExpertSettings, ...] = Field(
        default=(), description="The experts, numbered from 0 in this order."
    )
    router: RouterSettings | None = Field(
        default=None,
        description="Chooses the experts of a row; all of them with equal weights when absent.",
    )
    k_min: int | None = Field(
        default=None,
        ge=1,
        description="Experts of a row that must answer; all that were chosen when absent.",
    )
    timeout: float = Field(
        default=60.0, gt=0, description="Seconds the experts of a batch may take to answer."
    )
    timeout_after_k_min: float = Field(
        default=1.0,
        ge=0,
        description="Seconds to wait for the others once every row has k_min answers.",
    )


class ExpertsDeployerOptions(DeployerOptions):
    """``[deployer]`` with ``kind = "experts"``."""

    kind: str = Field(default="experts", description="experts")
    device: str = Field(
        default="auto", description="auto (CUDA devices in turn, else the CPU), cpu, cuda, cuda:1 …"
    )
    batching: Literal["dynamic", "fixed"] = Field(
        default="dynamic",
        description="dynamic: rows of several chunks share a batch. fixed: a row is computed at "
        "its place in a full batch, so that equal plans give equal bytes; costs more compute.",
    )
    max_batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Most rows of an expert's batch under dynamic batching; the predictor's "
        "batch_size when absent or smaller than that.",
    )
    min_batch_size: int = Field(
        default=1, ge=1, description="Rows an expert waits for under dynamic batching."
    )
    flush: float = Field(
        default=0.02,
        ge=0,
        description="Seconds after which a batch under min_batch_size is computed all the same.",
    )
    process_timeout: float | None = Field(
        default=None,
        gt=0,
        description="Seconds one call of an expert may take before it counts as hung and the "
        "others of its worker go on; half of the predictor's timeout when absent.",
    )
    memory_budget: int | None = Field(
        default=None, ge=1, description="Bytes of experts that one worker may hold."
    )
