"""The law of sharding rules, as plain Python: which rule takes a parameter, and what it gets.

A rule is a tuple of regular expressions and a partition spec. It takes a parameter when some
contiguous window of the parameter's path has as many components as the rule has expressions and
each expression matches the whole of its component. The first rule that takes a parameter wins; a
parameter that no rule takes is an error.

Source: the law is redco's (https://github.com/tanyuqian/redco), with one difference: there ``x|b``
also matches whatever begins with ``x``, here it means ``x`` or ``b``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from foretell.errors import ConfigError

Path: TypeAlias = tuple[str, ...]
"""A parameter's place in its tree: ``("layers", "0", "mlp", "up_proj", "kernel")``."""

Axes: TypeAlias = "str | tuple[str, ...] | None"
"""How one dimension is split: over one mesh axis, over several, or not at all."""

Spec: TypeAlias = "tuple[Axes, ...]"
"""How a parameter is split, a dimension each; the dimensions after the last are whole."""

REPLICATED: Spec = ()


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            "a sharding rule is not a regular expression",
            facts=[("component", pattern), ("cause", str(error))],
            slug="sharding-rule",
        ) from error


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        path: Regular expressions, one for each component of the window.
        spec: What the parameters it takes get.
    """

    path: Path
    spec: Spec

    def takes(self, path: Path) -> bool:
        """Whether some window of ``path`` matches, each expression a whole component."""
        width = len(self.path)
        if not width:
            return False
        patterns = [_compiled(text) for text in self.path]
        return any(
            all(
                pattern.fullmatch(part)
                for pattern, part in zip(patterns, path[start : start + width], strict=True)
            )
            for start in range(len(path) - width + 1)
        )

    def describe(self) -> str:
        """The rule in one phrase: ``mlp/up_proj -> (None, mp)``."""
        return f"{'/'.join(self.path)} -> {show_spec(self.spec)}"


def show_spec(spec: Spec) -> str:
    """A spec as people write it: ``(None, mp)``."""
    names = ["+".join(axes) if isinstance(axes, tuple) else str(axes) for axes in spec]
    return f"({', '.join(names)})"


def as_spec(value: Any) -> Spec:
    """A spec from a ``PartitionSpec``, a tuple or list, or None for replicated.

    In job files, which have no null, ``""`` stands for a dimension that is not split.
    """
    if value is None:
        return REPLICATED
    return tuple(_axes(part) for part in value)


def _axes(part: Any) -> Axes:
    if part is None or isinstance(part, str):
        return part or None
    return tuple(str(name) for name in part)


def as_rules(rules: Iterable[Any]) -> list[Rule]:
    """Rules from ``(expressions, spec)`` pairs.

    Raises:
        ConfigError: an item is no such pair, has no expression, or a malformed one.
    """
    found = []
    for item in rules:
        if isinstance(item, Rule):
            found.append(item)
            continue
        try:
            path, spec = item
        except (TypeError, ValueError):
            raise _not_a_rule(item) from None
        parts = (path,) if isinstance(path, str) else tuple(path)
        if not parts or not all(isinstance(part, str) for part in parts):
            raise _not_a_rule(item)
        for part in parts:
            _compiled(part)
        found.append(Rule(parts, as_spec(spec)))
    return found


def _not_a_rule(item: Any) -> ConfigError:
    return ConfigError(
        "a sharding rule is a tuple of regular expressions and a partition spec",
        facts=[
            ("got", f"{item!r}"),
            ("expected", '(("mlp", "up_proj"), PartitionSpec(None, "mp"))'),
        ],
        slug="sharding-rule",
    )


def first_match(path: Path, rules: Sequence[Rule]) -> int | None:
    """Position of the first rule that takes ``path``, None when none does."""
    return next((at for at, rule in enumerate(rules) if rule.takes(path)), None)


def assign(paths: Iterable[Path], rules: Sequence[Rule]) -> list[int]:
    """Position of the rule of each parameter.

    Raises:
        ConfigError: parameters that no rule takes, by name.
    """
    found: list[int] = []
    lost: list[Path] = []
    for path in paths:
        at = first_match(path, rules)
        if at is None:
            lost.append(path)
        else:
            found.append(at)
    if lost:
        shown = ["/".join(path) for path in lost[:8]]
        more = [f"… and {len(lost) - 8} more"] if len(lost) > 8 else []
        raise ConfigError(
            f"no sharding rule takes {len(lost)} of the parameters",
            facts=[
                ("parameters", "\n".join([*shown, *more])),
                ("rules", "\n".join(rule.describe() for rule in rules) or "none"),
            ],
            tries=[('[[".*"], []]', "as the last rule: everything else is replicated")],
            slug="sharding-unmatched",
        )
    return found


def shards_of(spec: Spec, mesh: Mapping[str, int]) -> int:
    """Into how many pieces a spec cuts a parameter."""
    return math.prod(mesh[name] for axes in spec for name in _names(axes))


def _names(axes: Axes) -> tuple[str, ...]:
    if axes is None:
        return ()
    return (axes,) if isinstance(axes, str) else axes


def check_spec(path: Path, shape: Sequence[int], spec: Spec, mesh: Mapping[str, int]) -> None:
    """Refuse a spec that a parameter cannot have on this mesh.

    Args:
        path: The parameter's path.
        shape: Its whole shape.
        spec: What its rule says.
        mesh: Axis name to size.

    Raises:
        ConfigError: more entries than dimensions, an axis the mesh has not or that is used twice,
            or a dimension that the shards do not divide.
    """
    name = "/".join(path)
    facts = [("parameter", f"{name} {tuple(shape)}"), ("spec", show_spec(spec))]
    if len(spec) > len(shape):
        raise ConfigError(
            "a sharding rule has more entries than its parameter has dimensions",
            facts=[*facts, ("expected", f"at most {len(shape)}"), ("got", str(len(spec)))],
            slug="sharding-spec",
        )
    used = [axis for axes in spec for axis in _names(axes)]
    for axis in used:
        if axis not in mesh:
            raise ConfigError(
                f"the mesh has no axis {axis!r}",
                facts=[*facts, ("axes", ", ".join(mesh))],
                slug="sharding-axis",
            )
        if used.count(axis) > 1:
            raise ConfigError(
                f"a sharding rule uses the axis {axis!r} twice", facts=facts, slug="sharding-axis"
            )
    for at, (extent, axes) in enumerate(zip(shape, spec, strict=False)):
        pieces = math.prod(mesh[axis] for axis in _names(axes))
        if extent % pieces:
            raise ConfigError(
                "the shards do not divide a dimension of a parameter",
                facts=[
                    *facts,
                    ("expected", f"dimension {at} to be a multiple of {pieces}"),
                    ("got", str(extent)),
                ],
                tries=[("another number of model shards", ""), ("another rule", "")],
                slug="sharding-divide",
            )
