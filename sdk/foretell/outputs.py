"""What a model returned, as named arrays on the host.

One place answers "which rows of it are real", "what are the outputs called" and "of which dtype",
so that engine, predictors and plugins agree.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, Literal

import numpy as np

from foretell.errors import OutputError, ShapeMismatch
from foretell.rows import take
from foretell.types import OutputSpec

Reading = Literal["outputs", "rows"]
"""What a list of arrays holds: an output each, or a row each."""


def select(tree: Any, mask: np.ndarray, *, lists: Reading | None = None) -> Any:
    """Keep the rows of every leaf of a model's raw output where ``mask`` is True.

    Mappings, tuples and dataclasses are walked. A list of arrays holds outputs, and is walked, or
    one value per row: its length and that of its items tell. Any other list is one value per row.

    Args:
        tree: What the model returned, on the host.
        mask: bool ``(n,)``: which rows are real.
        lists: What a list is that could be either: ``n`` arrays of ``n`` rows.

    Raises:
        ShapeMismatch: a leaf has no row axis of ``n``, or a list could be either and ``lists`` does
            not say: guessing would misplace predictions.
    """
    return _Selection(mask, lists).of(tree, "output")


def could_be_either(tree: Any, n_rows: int) -> bool:
    """Whether :func:`select` depends on its ``lists`` for what a model returned."""
    found = _Selection(np.ones(n_rows, dtype=bool), "outputs")
    with suppress(ShapeMismatch):
        found.of(tree, "output")
    return found.asked


class _Selection:
    def __init__(self, mask: np.ndarray, lists: Reading | None) -> None:
        self.asked = False
        """Whether a list was met that could be either."""
        self._mask = mask
        self._everything = bool(mask.all())
        self._lists = lists

    def of(self, tree: Any, name: str) -> Any:
        named = _named_parts(tree)
        if named is not None:
            return {k: self.of(v, f"{name}.{k}") for k, v in named.items()}
        if isinstance(tree, tuple) or (isinstance(tree, list) and self._holds_outputs(tree, name)):
            return tuple(self.of(v, f"{name}[{i}]") for i, v in enumerate(tree))
        return self._leaf(tree, name)

    def _leaf(self, leaf: Any, name: str) -> Any:
        n = len(self._mask)
        if leaf is None:
            facts = [("where", name), ("got", "None")]
            raise ShapeMismatch("the model returned nothing", facts=facts)
        length = _length(leaf)
        if length != n:
            got = "no row axis" if length is None else f"{length} rows"
            raise ShapeMismatch(
                "the model returned another number of rows than it was given",
                facts=[("where", name), ("expected", f"{n} rows"), ("got", got)],
            )
        if self._everything:
            return leaf
        return take(leaf if isinstance(leaf, list) else np.asarray(leaf), self._mask)

    def _holds_outputs(self, values: list[Any], name: str) -> bool:
        n = len(self._mask)
        if not values or not all(hasattr(value, "shape") for value in values):
            return False
        if len(values) != n:
            return True
        if any(_length(value) != n for value in values):
            return False
        self.asked = True
        if self._lists is None and n == 1:
            return True  # as with more rows; and one row cannot take another's place
        if self._lists is None:
            raise ShapeMismatch(
                "the model returned a list that can be read in two ways",
                facts=[
                    ("where", name),
                    ("got", f"{n} arrays of {n} rows each, for a batch of {n} rows"),
                    ("either", f"{n} outputs, or an array for each row"),
                ],
                tries=[
                    ("a tuple or a dict", "for several outputs"),
                    ("one array, stacked", "for an array for each row"),
                ],
                slug="output-ambiguous",
            )
        return self._lists == "outputs"


def _named_parts(tree: Any) -> Mapping[Any, Any] | None:
    """The parts of a mapping, dataclass or named tuple by name; None for anything else."""
    if isinstance(tree, Mapping):
        return tree
    if is_dataclass(tree) and not isinstance(tree, type):
        return {f.name: getattr(tree, f.name) for f in fields(tree)}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return dict(zip(tree._fields, tree, strict=True))
    return None


def _length(leaf: Any) -> int | None:
    """Rows of a leaf, None when it has no row axis. Lists may be ragged: they are only counted."""
    if isinstance(leaf, list):
        return len(leaf)
    if isinstance(leaf, str | bytes) or not hasattr(leaf, "__len__") or np.ndim(leaf) == 0:
        return None
    return len(leaf)


def to_outputs(predictions: Any) -> dict[str, Any]:
    """Name the parts of a prediction: the default meaning of ``postprocess``.

    A mapping keeps its keys (nested ones joined by ``/``), a tuple becomes ``output_0``,
    ``output_1`` …, a list of mappings becomes one column per key, anything else is ``output``.
    """
    if isinstance(predictions, Sequence) and not isinstance(predictions, str | bytes | tuple):
        if len(predictions) and all(isinstance(item, Mapping) for item in predictions):
            return _columns(predictions)
        return {"output": predictions}
    return dict(_flatten(predictions, ""))


def _columns(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    flat = [_flat_record(record, "") for record in records]
    names = list(flat[0])
    for position, record in enumerate(flat):
        if record.keys() != flat[0].keys():
            raise ShapeMismatch(
                "the records of one batch have different keys",
                facts=[
                    ("expected", ", ".join(names)),
                    ("got", f"{', '.join(record)} (record {position})"),
                ],
            )
    return {name: [record[name] for record in flat] for name in names}


def _flat_record(record: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """One row's values by name. Only mappings are entered: a tuple is a vector here."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flat_record(value, f"{name}/")
        else:
            flat[name] = value
    return flat


def _flatten(tree: Any, prefix: str) -> list[tuple[str, Any]]:
    named = _named_parts(tree)
    if named is not None:
        pairs = [(f"{prefix}/{k}" if prefix else str(k), v) for k, v in named.items()]
    elif isinstance(tree, tuple):
        stem = prefix or "output"
        pairs = [(f"{stem}_{i}", v) for i, v in enumerate(tree)]
    else:
        return [(prefix or "output", tree)]
    return [leaf for name, value in pairs for leaf in _flatten(value, name)]


def keep_outputs(outputs: Mapping[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    """The outputs that were asked for, in the model's order; all of them for None.

    A name keeps the output of that name, or everything below it: ``head`` keeps ``head/logits``.

    Raises:
        OutputError: a name that no output has, with the known ones and a near miss.
    """
    if names is None:
        return dict(outputs)
    for name in names:
        if not any(_is_kept(output, name) for output in outputs):
            raise _unknown_output(name, list(outputs))
    return {
        output: values
        for output, values in outputs.items()
        if any(_is_kept(output, name) for name in names)
    }


def _is_kept(output: str, name: str) -> bool:
    return output == name or output.startswith(f"{name}/")


def _unknown_output(name: str, known: list[str]) -> OutputError:
    near = difflib.get_close_matches(name, known, n=1)
    return OutputError(
        f"the model has no output {name!r}",
        facts=[("asked for", f"predictor.outputs = {name!r}"), ("outputs", ", ".join(known))],
        tries=[(f"outputs = [{near[0]!r}]", "")] if near else [],
        slug="output-unknown",
    )


def to_host(tree: Any) -> Any:
    """A nest of predictions with every array of another library as a NumPy array.

    Anything NumPy can see through ``__array__`` counts as an array; tensors are detached and
    brought to the CPU by their own methods, so their library is never imported here.

    Raises:
        ShapeMismatch: an array that NumPy cannot represent (bfloat16, say).
    """
    return _to_host(tree, "output")


def _to_host(tree: Any, name: str) -> Any:
    if tree is None or isinstance(tree, np.ndarray | np.generic | str | bytes | int | float):
        return tree
    named = _named_parts(tree)
    if named is not None:
        return {key: _to_host(value, f"{name}.{key}") for key, value in named.items()}
    if isinstance(tree, tuple):
        return tuple(_to_host(value, f"{name}[{i}]") for i, value in enumerate(tree))
    if isinstance(tree, list):
        return [_to_host(value, f"{name}[{i}]") for i, value in enumerate(tree)]
    return _host_array(tree, name) if hasattr(tree, "__array__") else tree


def _host_array(value: Any, name: str) -> np.ndarray:
    try:
        for step in ("detach", "cpu"):
            value = getattr(value, step)() if hasattr(value, step) else value
        return np.asarray(value)
    except (TypeError, RuntimeError, ValueError) as error:
        raise ShapeMismatch(
            "an output cannot be turned into a NumPy array",
            facts=[
                ("where", name),
                ("got", f"{type(value).__name__} of {getattr(value, 'dtype', 'unknown dtype')}"),
                ("cause", str(error).partition("\n")[0]),
            ],
            tries=[("return float32", "as NumPy has no such type")],
        ) from error


def spec_of(name: str, values: Any) -> OutputSpec:
    """Learn the spec of one output from its values, rows on axis 0."""
    array = as_array(name, values, None)
    return OutputSpec(name, tuple(array.shape[1:]), dtype_name(array, name))


def dtype_name(array: np.ndarray, name: str) -> str:
    """The name an :class:`OutputSpec` uses for the dtype of ``array``."""
    if array.dtype == object:
        return "str" if all(isinstance(value, str) for value in array.flat) else "json"
    if array.dtype.kind in "US":
        return "str"
    if array.dtype.kind not in "biufc":
        raise ShapeMismatch(
            "this dtype cannot be stored",
            facts=[("output", name), ("got", str(array.dtype))],
            tries=[("return numbers, booleans, strings or plain lists", "")],
        )
    return str(array.dtype.newbyteorder("="))


def as_array(name: str, values: Any, spec: OutputSpec | None) -> np.ndarray:
    """``values`` as an array with rows on axis 0: text and ragged values as objects.

    With a ``spec`` the result is checked against it: a wrong shape or dtype is a
    :class:`ShapeMismatch` naming both, never a cast or a broadcast.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OUS":
        array = values
    elif hasattr(values, "__array__") and not isinstance(values, np.ndarray):
        array = np.asarray(values)
    else:
        array = _from_list(values, "json" if spec is not None and spec.dtype == "json" else None)
    if array.ndim == 0:
        raise ShapeMismatch(
            "an output has no row axis",
            facts=[("output", name), ("got", f"a single {array.dtype} value")],
        )
    if spec is not None:
        _check(name, array, spec)
    return array


def _from_list(values: Any, force: str | None) -> np.ndarray:
    items = list(values)
    if isinstance(values, np.ndarray) and values.dtype.kind == "U":
        return values.astype(object)
    if isinstance(values, np.ndarray) and values.ndim > 1 and force is None:
        return values
    plain = all(isinstance(v, bool | int | float | np.generic | np.ndarray) for v in items)
    nested = all(isinstance(v, list | tuple) for v in items)
    if items and force is None and (plain or nested):
        try:
            array = np.asarray(items)
        except ValueError:
            pass
        else:
            if array.dtype.kind in "biufc":
                return array
    boxed = np.empty(len(items), dtype=object)
    for position, item in enumerate(items):
        boxed[position] = _plain(item)
    return boxed


def _plain(item: Any) -> Any:
    if isinstance(item, np.ndarray | np.generic):
        return item.tolist()
    return str(item) if isinstance(item, str) else item


def _check(name: str, array: np.ndarray, spec: OutputSpec) -> None:
    if spec.dtype == "json":
        return
    got = OutputSpec(name, tuple(array.shape[1:]), dtype_name(array, name))
    if len(array) == 0 and array.ndim == 1:
        return
    if (got.shape, got.dtype) != (spec.shape, spec.dtype):
        raise ShapeMismatch(
            "an output does not have the shape or dtype the plan promised",
            facts=[("output", name), ("expected", spec.describe()), ("got", got.describe())],
        )
