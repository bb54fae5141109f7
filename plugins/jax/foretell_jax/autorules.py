"""Sharding rules made from the names and shapes of the parameters, where a job gives none.

Kernels are told apart by the last two components of their path, other parameters by the last one.
Parameters of one key share one rule, so a dimension counts only when the shard count divides it in
every parameter of that key.

=====================================================  =====================
kernel or embedding                                    split
=====================================================  =====================
attention, name begins or ends with q, k or v          last dimension
attention, name begins or ends with o                  first
``up…``, ``gate…``, ``wi…``, a part called ``in``      last
``down…``, ``wo…``, a part called ``out``              first
``embedding``                                          first
``head…``, ``…head``                                   last
any other kernel                                       last and first in turn
everything else                                        not at all
=====================================================  =====================

Source: the table is redco's (https://github.com/tanyuqian/redco).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from foretell_jax.rules import REPLICATED, Path, Rule, Spec, first_match

AXIS = "mp"
"""The mesh axis that model shards lie on."""


def automatic_rules(
    shapes: Mapping[Path, Sequence[int]], n_shards: int, axis: str = AXIS
) -> list[Rule]:
    """Rules that give every one of these parameters a spec it can have.

    Args:
        shapes: Path to whole shape, of all parameters.
        n_shards: Size of the mesh axis.
        axis: Name of the mesh axis.

    Returns:
        Rules, each naming its key literally, the longer keys first; one of the whole path goes
        before them for a parameter that a rule of another key would take first.
    """
    wanted = dict.fromkeys(shapes, REPLICATED)
    rules: list[Rule] = []
    previous: int | None = None
    for key, paths in sorted(_by_key(shapes).items()):
        usable = _usable([shapes[path] for path in paths], n_shards) if _splits(key) else []
        spec: Spec = REPLICATED
        if usable:
            at, previous = _choose(key, paths, usable, previous)
            extents = len(shapes[paths[0]])
            spec = tuple(axis if dim == at else None for dim in range(extents))
        rules.append(Rule(_literal(key), spec))
        wanted.update(dict.fromkeys(paths, spec))
    rules.sort(key=lambda rule: -len(rule.path))
    return [*_exceptions(wanted, rules), *rules]


def _by_key(shapes: Mapping[Path, Sequence[int]]) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = {}
    for path in shapes:
        key = path[-2:] if path[-1:] == ("kernel",) else path[-1:]
        found.setdefault(key, []).append(path)
    return found


def _splits(key: Path) -> bool:
    return key[-1:] in (("kernel",), ("embedding",))


def _usable(shapes: Sequence[Sequence[int]], n_shards: int) -> list[int]:
    """Dimensions that can be split in every one of these shapes, in order."""
    if len({len(shape) for shape in shapes}) != 1:
        return []
    return [
        dim
        for dim in range(len(shapes[0]))
        if all(shape[dim] and shape[dim] % n_shards == 0 for shape in shapes)
    ]


def _choose(
    key: Path, paths: Sequence[Path], usable: Sequence[int], previous: int | None
) -> tuple[int, int | None]:
    """The dimension to split, and the one to avoid next among kernels without a role."""
    role = _role(key, paths)
    if role is not None:
        return (usable[0] if role == "first" else usable[-1]), previous
    at = usable[-1]
    if at == previous and len(usable) > 1:
        at = usable[-2]
    return at, at


def _role(key: Path, paths: Sequence[Path]) -> str | None:
    name = key[0]
    if key[-1] == "embedding":
        return "first"
    if all(_in_attention(path) for path in paths):
        if name[0] in "qkv" or name[-1] in "qkv":
            return "last"
        if name[0] == "o" or name[-1] == "o":
            return "first"
    if name.startswith(("up", "gate", "wi")) or "in" in name.split("_"):
        return "last"
    if name.startswith(("down", "wo")) or "out" in name.split("_"):
        return "first"
    if name.startswith("head") or name.endswith("head"):
        return "last"
    return None


def _in_attention(path: Path) -> bool:
    return any("attention" in part.lower() or "attn" in part.lower() for part in path)


def _literal(key: Path) -> Path:
    return tuple(re.escape(part) for part in key)


def _exceptions(wanted: Mapping[Path, Spec], rules: Sequence[Rule]) -> Iterator[Rule]:
    for path, spec in wanted.items():
        at = first_match(path, rules)
        if at is not None and rules[at].spec != spec:
            yield Rule(_literal(path), spec)
