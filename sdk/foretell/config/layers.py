"""The layers a job's settings come from, each value with the place it came from.

A layer is flat: one entry for each leaf, by its path of keys. Tables merge key by key; anything
else of a higher layer replaces what lower ones say under the same key.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretell.config.origins import Key

SECTIONS = ("source", "predictor", "deployer", "writer", "schedule")
"""Tables of a job file."""

_ENV_PREFIX = "FORETELL_"


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it was given.

    Attributes:
        value: What it says.
        origin: Where it was said: ``job.toml:12``, ``--set``, ``FORETELL_SCHEDULE__WORKERS``.
        raw: The text, where the value was read from one: a setting that wants text takes this.
        base: Folder that a relative path in it starts from; None for the job's own.
    """

    value: Any
    origin: str
    raw: str | None = None
    base: Path | None = None


Layer = dict[Key, Value]


def parse_literal(text: str) -> Any:
    """The TOML value that ``text`` spells, or ``text`` itself when it spells none.

    Dates and times stay text: no setting is one, and ``11:50:00`` means a duration.
    """
    try:
        table = tomllib.loads(f"value = {text.strip()}")
    except tomllib.TOMLDecodeError:
        return text
    if list(table) != ["value"] or isinstance(table["value"], datetime.date | datetime.time):
        return text
    return table["value"]


def from_table(table: Mapping[str, Any], make: Callable[[Key, Any], Value]) -> Layer:
    """A layer from nested tables; ``make`` gives each leaf its origin."""
    return {key: make(key, value) for key, value in _leaves(table, ())}


def _leaves(table: Mapping[str, Any], path: Key) -> Iterable[tuple[Key, Any]]:
    for name, value in table.items():
        key = (*path, str(name))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, key)
        else:
            yield key, value


def from_sets(
    sets: Mapping[str, Any], labels: Mapping[str, str], base: Path, default: str = "--set"
) -> Layer:
    """A layer from options and keyword arguments: dotted keys, or whole sections as mappings.

    Args:
        sets: ``"schedule.workers"`` to 2, ``"schedule"`` to ``{"workers": 2}``. Text in a
            :class:`Typed` is read as a TOML value where it is one.
        labels: How the user said it, by dotted key: ``{"source.path": "--source"}``.
        base: The working directory.
        default: The label of everything else.
    """
    layer: Layer = {}
    for dotted, given in sets.items():
        origin = labels.get(dotted, default)
        key = split_key(dotted)
        whole = isinstance(given, Mapping) and given
        for path, leaf in _leaves(given, key) if whole else [(key, given)]:
            layer.update(_set(path, leaf, origin, base))
    return layer


def _set(key: Key, given: Any, origin: str, base: Path) -> Layer:
    """One setting, or those of the table that its text spells."""
    if not isinstance(given, Typed):
        return {key: Value(given, origin, base=base)}
    value = parse_literal(given.text)
    if isinstance(value, Mapping) and value:
        return {leaf: Value(item, origin, base=base) for leaf, item in _leaves(value, key)}
    return {key: Value(value, origin, raw=given.text, base=base)}


@dataclass(frozen=True, slots=True)
class Typed:
    """Text typed by a user that may spell a TOML value."""

    text: str


def split_key(dotted: str) -> Key:
    """``predictor.options.width`` in its parts; quoted parts keep their dots."""
    parts = re.findall(r'"([^"]*)"|([^.]+)', dotted)
    return tuple(quoted or plain for quoted, plain in parts)


def join_key(key: Key) -> str:
    """The inverse of :func:`split_key`."""
    return ".".join(f'"{part}"' if "." in part else part for part in key)


def from_env(env: Mapping[str, str], base: Path) -> tuple[Layer, list[tuple[str, str, str]]]:
    """A layer from ``FORETELL_<SECTION>__<KEY>`` variables, and the names that almost are one.

    Returns:
        The layer, and (name, value, nearest right name) of variables such as
        ``FORETELL_SCHEDULE_WORKERS`` that would be ignored otherwise.
    """
    layer: Layer = {}
    near: list[tuple[str, str, str]] = []
    for name in sorted(env):
        if not name.startswith(_ENV_PREFIX):
            continue
        rest = name[len(_ENV_PREFIX) :].lower()
        if "__" in rest:
            key = tuple(rest.split("__"))
            layer[key] = Value(parse_literal(env[name]), name, raw=env[name], base=base)
            continue
        section = next((s for s in SECTIONS if rest.startswith(f"{s}_")), None)
        if section is not None:
            right = f"{_ENV_PREFIX}{section.upper()}__{rest[len(section) + 1 :].upper()}"
            near.append((name, env[name], right))
    return layer, near


def merge(layers: Iterable[Layer]) -> Layer:
    """One layer out of several, the first given ruling over the later ones."""
    merged: Layer = {}
    for layer in reversed(list(layers)):
        for key, value in layer.items():
            if isinstance(value.value, Mapping) and any(_below(other, key) for other in merged):
                continue
            for other in [o for o in merged if o != key and (_below(o, key) or _below(key, o))]:
                del merged[other]
            merged[key] = value
    return merged


def _below(key: Key, above: Key) -> bool:
    return len(key) > len(above) and key[: len(above)] == above


def nest(layer: Layer) -> dict[str, Any]:
    """The nested tables a layer stands for."""
    tables: dict[str, Any] = {}
    for key, value in layer.items():
        table = tables
        for part in key[:-1]:
            table = table.setdefault(part, {})
        table[key[-1]] = value.value
    return tables
