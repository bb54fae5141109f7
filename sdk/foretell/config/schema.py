"""JSON Schema of a whole job file, for editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from foretell.config.job import VERSION
from foretell.config.layers import SECTIONS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def job_schema(
    models: Mapping[str, type[BaseModel]], known: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The schema of a job file whose sections have these settings.

    Args:
        models: Section to the settings class of its selected kind.
        known: Section to every registered kind.

    Returns:
        A JSON Schema, draft 2020-12.
    """
    chosen = [(models[name], "validation") for name in SECTIONS if name in models]
    references, shared = models_json_schema(chosen)  # type: ignore[arg-type]
    definitions = shared.get("$defs", {})
    properties: dict[str, Any] = {"version": {"const": VERSION, "default": VERSION}}
    for name in SECTIONS:
        if name in models:
            table = definitions[references[models[name], "validation"]["$ref"].rpartition("/")[2]]
            _kinds(table, known.get(name, ()))
            properties[name] = references[models[name], "validation"]
    return {
        "$schema": DIALECT,
        "title": "Foretell job",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _kinds(table: dict[str, Any], known: Sequence[str]) -> None:
    """``kind`` may be left out where it can be inferred; editors offer the registered ones."""
    kind = table["properties"].get("kind")
    if kind is None:
        return
    kind["enum"] = list(known)
    required = [name for name in table.get("required", ()) if name != "kind"]
    table.pop("required", None)
    if required:
        table["required"] = required
