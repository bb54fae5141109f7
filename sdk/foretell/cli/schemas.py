"""JSON Schemas of every ``--json`` document, by the name after ``foretell.`` in its ``schema``.

A new key is a compatible change; removing or redefining one raises ``DOCUMENT_VERSION``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from foretell.cli.output import DOCUMENT_VERSION
from foretell.store.head import Head, Rates, Totals

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {}
TABLE: Schema = {"type": "object"}


def optional(schema: Schema) -> Schema:
    """``schema`` or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def array(items: Schema) -> Schema:
    """An array of ``items``."""
    return {"type": "array", "items": items}


def record(**properties: Schema) -> Schema:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PAIRS = array({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2})

_TOTALS = record(**{item.name: INTEGER for item in fields(Totals)})
_RATES = record(**{item.name: optional(NUMBER) for item in fields(Rates)})

_HEAD_TYPES: Mapping[str, Schema] = {
    "state": TEXT,
    "host": TEXT,
    "boot_id": TEXT,
    "fold": TEXT,
    "unit": TEXT,
    "message": TEXT,
    "reason": TEXT,
    "interval": NUMBER,
    "time": NUMBER,
    "pid_started": NUMBER,
    "session_started": NUMBER,
    "totals": _TOTALS,
    "rates": _RATES,
    "failure_kinds": {"type": "object", "additionalProperties": INTEGER},
    "walltime_ends": optional(NUMBER),
    "exit_code": optional(INTEGER),
    "extra": TABLE,
}
HEAD = record(**{item.name: _HEAD_TYPES.get(item.name, INTEGER) for item in fields(Head)})

_ARRAY_INFO = record(
    name=TEXT,
    dtype=TEXT,
    shape=array(INTEGER),
    chunks=array(INTEGER),
    shards=array(INTEGER),
    dims=array(TEXT),
    codecs=array(TEXT),
    attributes=TABLE,
    bytes=optional(INTEGER),
    filled=NUMBER,
)
_PREVIEW = record(
    start=INTEGER,
    stop=INTEGER,
    values={"type": "object", "additionalProperties": array(TEXT)},
    statistics={"type": "object", "additionalProperties": TEXT},
)
_FAILURE = record(
    kind=TEXT,
    message=TEXT,
    count=INTEGER,
    chunks=array(INTEGER),
    standing=INTEGER,
    row_count=INTEGER,
    rows=array(record(row=INTEGER, kind=TEXT, message=TEXT, locator=TEXT)),
    first=NUMBER,
    last=NUMBER,
    attempt=INTEGER,
    worker=TEXT,
    frame=TEXT,
    traceback=TEXT,
)
_RUN = record(
    run=TEXT,
    state=TEXT,
    pulse=TEXT,
    percent=optional(NUMBER),
    rows=optional(INTEGER),
    rows_per_second=optional(NUMBER),
    average_rows_per_second=optional(NUMBER),
    unit=TEXT,
    age_seconds=optional(NUMBER),
    bytes=optional(INTEGER),
    exit_code=optional(INTEGER),
    problem=TEXT,
)
_ENTRY = record(
    role=TEXT,
    name=TEXT,
    summary=TEXT,
    target=TEXT,
    extra=TEXT,
    plugin=TEXT,
    distribution=TEXT,
    usable=TEXT,
)

_SIDE = record(run=TEXT, state=TEXT, created=NUMBER, problem=TEXT)
_DIFFERENCES = array(record(key=TEXT, a=TEXT, b=TEXT))
_MEASURES = array(
    record(name=TEXT, unit=TEXT, a=optional(NUMBER), b=optional(NUMBER), ratio=optional(NUMBER))
)
_VALUE = record(
    output=TEXT,
    rows=INTEGER,
    rows_unlike=INTEGER,
    values=INTEGER,
    equal=INTEGER,
    nan_unlike=INTEGER,
    largest=optional(NUMBER),
    mean=optional(NUMBER),
    note=TEXT,
    share=NUMBER,
    same=FLAG,
)

_BODIES: Mapping[str, Schema] = {
    "outcome": record(
        run=TEXT, state=TEXT, exit_code=INTEGER, reason=TEXT, idle=FLAG, head=optional(HEAD)
    ),
    "plan": record(forecast=TABLE),
    "status": record(
        run=TEXT,
        state=TEXT,
        pulse=TEXT,
        pulse_text=TEXT,
        quiet_seconds=optional(NUMBER),
        exit_code=INTEGER,
        head=optional(HEAD),
        totals=_TOTALS,
        created=NUMBER,
        live=FLAG,
        versions={"type": "object", "additionalProperties": TEXT},
        next=PAIRS,
        workers=array(TABLE),
    ),
    "runs": record(runs=array(_RUN)),
    "show": record(
        run=TEXT,
        kind=TEXT,
        rows=INTEGER,
        chunks=INTEGER,
        chunks_done=INTEGER,
        attributes=TABLE,
        arrays=array(_ARRAY_INFO),
        preview=optional(_PREVIEW),
        open_with=array(TEXT),
    ),
    "failures": record(run=TEXT, groups=array(_FAILURE)),
    "logs": record(
        run=TEXT, lines=array(record(time=NUMBER, level=TEXT, worker=TEXT, message=TEXT))
    ),
    "verify": record(
        run=TEXT,
        deep=FLAG,
        clean=FLAG,
        exit_code=INTEGER,
        chunks=INTEGER,
        done=INTEGER,
        objects=INTEGER,
        bytes=INTEGER,
        chunks_damaged=array(INTEGER),
        problems=array(
            record(kind=TEXT, text=TEXT, object=TEXT, chunk=optional(INTEGER), damage=FLAG)
        ),
        requeued=INTEGER,
    ),
    "compare": record(
        equal=FLAG,
        reasons=array(TEXT),
        a=_SIDE,
        b=_SIDE,
        **dict.fromkeys(("config", "content", "outputs", "versions", "environment"), _DIFFERENCES),
        **dict.fromkeys(("totals", "speed", "failures"), _MEASURES),
        bytes=record(compared=INTEGER, different=INTEGER, chunks=array(INTEGER), reason=TEXT),
        values=optional(array(_VALUE)),
        sampled=array(INTEGER),
    ),
    "report": record(run=TEXT, file=TEXT, bytes=INTEGER),
    "cancel": record(run=TEXT, requested=FLAG, state=TEXT, text=TEXT),
    "init": record(files=array(TEXT)),
    "demo": record(
        run=TEXT,
        job=TEXT,
        rows=INTEGER,
        accuracy=NUMBER,
        accuracy_held_out=NUMBER,
        rows_held_out=INTEGER,
        interrupted=FLAG,
    ),
    "doctor": record(
        ok=FLAG,
        checks=array(
            record(name=TEXT, level={"enum": ["ok", "warn", "fail"]}, text=TEXT, fix=TEXT)
        ),
    ),
    "plugins": record(
        entries=array(_ENTRY),
        broken=array(record(plugin=TEXT, distribution=TEXT, target=TEXT, reason=TEXT)),
    ),
    "config": record(settings=array(record(key=TEXT, value=ANYTHING, origin=TEXT))),
    "config-check": record(
        ok=FLAG,
        problems=array(
            record(key=TEXT, message=TEXT, got=TEXT, origin=TEXT, nearest=optional(TEXT))
        ),
    ),
    "error": record(slug=TEXT, message=TEXT, exit_code=INTEGER, facts=PAIRS, tries=PAIRS),
}


def document_schema(name: str) -> Schema:
    """The schema of the document called ``foretell.<name>``."""
    body = _BODIES[name]
    properties = {
        "schema": {"const": f"foretell.{name}"},
        "version": {"const": DOCUMENT_VERSION},
        **body["properties"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **record(**properties),
    }


DOCUMENTS = tuple(_BODIES)
"""Names of all documents."""
