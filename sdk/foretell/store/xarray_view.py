"""A run as an xarray Dataset or DataTree whose values are read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.errors import LoadError, OutputError
from foretell.rows import dimension_names
from foretell.store.reader import OutputReader, RunReader, ValidReader
from foretell.types import OutputSpec

if TYPE_CHECKING:
    import xarray


def to_xarray(
    run: RunReader, names: Sequence[str], masked: bool
) -> xarray.Dataset | xarray.DataTree:
    """See :meth:`foretell.store.reader.RunReader.to_xarray`."""
    try:
        import xarray as xr
    except ImportError as error:
        raise LoadError(
            "xarray is not installed", tries=[("pip install xarray", "")], slug="load-missing"
        ) from error
    groups: dict[str, dict[str, Any]] = {
        "": {"valid": _variable(run.valid, dimension_names(run.valid.spec), {})}
    }
    for name in names:
        handle = run[name]
        _check_shape(handle.spec)
        group, _, own = name.rpartition("/")
        shown = handle.filled() if masked else handle
        variable = _variable(shown, dimension_names(handle.spec), dict(handle.spec.attrs))
        groups.setdefault(group, {})[own] = variable
    datasets = {group: xr.Dataset(variables) for group, variables in groups.items()}
    datasets[""].attrs.update(dict(run.plan.attrs))
    if len(datasets) == 1:
        return datasets[""]
    return xr.DataTree.from_dict({f"/{group}": dataset for group, dataset in datasets.items()})


def _check_shape(spec: OutputSpec) -> None:
    if spec.dtype == "json":
        raise OutputError(
            f"the output {spec.name!r} has another shape in every row",
            facts=[("xarray", "needs arrays of one shape")],
            tries=[
                (f"run[{spec.name!r}][:]", "an array of objects"),
                ("run.to_xarray(names=[…])", "the others"),
            ],
            slug="output-ragged",
        )


def _variable(
    handle: OutputReader | ValidReader, dims: tuple[str, ...], attrs: dict[str, Any]
) -> xarray.Variable:
    import xarray as xr
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Lazy(BackendArray):  # type: ignore[misc]
        """What xarray asks for values."""

        shape = handle.shape
        dtype = handle.dtype

        def __getitem__(self, key: Any) -> Any:
            return indexing.explicit_indexing_adapter(
                key, handle.shape, indexing.IndexingSupport.OUTER, _outer
            )

    def _outer(key: tuple[Any, ...]) -> np.ndarray:
        # Each axis on its own, the rows last: an integer makes its axis disappear.
        values = np.asarray(handle[np.atleast_1d(key[0]) if _is_int(key[0]) else key[0]])
        for axis in range(len(key) - 1, 0, -1):
            values = values[(slice(None),) * axis + (key[axis],)]
        return values[0] if _is_int(key[0]) else values

    return xr.Variable(dims, indexing.LazilyIndexedArray(Lazy()), attrs)


def _is_int(key: Any) -> bool:
    return isinstance(key, int | np.integer)
