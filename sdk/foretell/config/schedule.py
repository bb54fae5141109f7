"""``[schedule]``: how the work is cut, spread, retried and ended."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix, base in (("", 1000), ("b", 1000), ("ib", 1024))
}


def parse_duration(value: Any) -> Any:
    """Seconds from ``90``, ``"10m"``, ``"1h30m"`` or ``"11:50:00"``; other values unchanged."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if re.fullmatch(r"\d+(:\d{2}){1,2}", text):
        seconds = 0.0
        for part in text.split(":"):
            seconds = seconds * 60 + int(part)
        return seconds
    if re.fullmatch(r"(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+", text):
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", text)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    raise ValueError('expected a duration such as "90s", "10m", "1h30m" or "11:50:00"')


def parse_size(value: Any) -> Any:
    """Bytes from ``4000000``, ``"4GB"`` or ``"3.5 GiB"``; ``"auto"`` and others unchanged."""
    if not isinstance(value, str) or value == "auto":
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", value.strip().lower())
    if match is None or match[2] not in _SIZES:
        raise ValueError('expected a size such as "4GB" or "3.5GiB"')
    return int(float(match[1]) * _SIZES[match[2]])


Duration = Annotated[
    float, BeforeValidator(parse_duration, json_schema_input_type=float | str), Field(gt=0)
]
Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | str), Field(gt=0)]


class ScheduleOptions(BaseModel):
    """How the work is cut, spread, retried and ended. Durations are seconds once parsed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field(
        default="local",
        description="local, the address of a Dask scheduler (tcp://, tls://), or module:Class.",
    )
    cluster_options: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments for the cluster class."
    )
    workers: int = Field(
        default=1, ge=0, description="Worker processes; 0 runs inside the calling process."
    )
    chunk: Annotated[int, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", description="Rows per chunk; auto aims at 1 to 5 s and whole shards."
    )
    retries: int = Field(default=2, ge=0, description="Further attempts at a chunk, run alone.")
    timeout: Duration | None = Field(
        default=None, description="Hard limit per chunk, from its first read to its last byte."
    )
    memory_limit: Size | Literal["auto"] = Field(
        default="auto", description="Memory of one worker process."
    )
    walltime: Duration | None = Field(
        default=None,
        description="Stop taking chunks that cannot finish within this time, drain, exit 75.",
    )
    drain: Duration = Field(default=60.0, description="How long a drain may take.")
    storage_wait: Duration = Field(
        default=600.0, description="How long a full storage is waited for before the run ends."
    )
    on_error: Literal["quarantine", "fail"] = Field(
        default="quarantine", description="What a row or chunk that keeps failing does to the run."
    )
    max_failed: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="Rows that may fail before the run stops: auto is the larger of 0.1 % of the "
        "rows and three chunks.",
    )
    on_nan: Literal["allow", "warn", "fail"] = Field(
        default="warn", description="What NaN or infinity in an output means."
    )
