"""How to open a run's outputs elsewhere: expressions for Python, commands for viewers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from foretell.store.contents import ArrayInfo, Contents

_PORT = 9000


@dataclass(frozen=True, slots=True)
class Opening:
    """One way to open an output.

    Attributes:
        tool: ``xarray``, ``napari``, ``neuroglancer``, ``vizarr`` …
        steps: What to type, or an address to visit, in order.
    """

    tool: str
    steps: tuple[str, ...]


def expressions(contents: Contents, url: str, quoted: Callable[[str], str] = repr) -> list[str]:
    """Python expressions that open a store, the library of its format first.

    Args:
        contents: The store.
        url: Where it is.
        quoted: Writes a text as a Python literal.
    """
    place = quoted(url)
    kind, predicted = contents.kind, contents.predicted
    nested = any("/" in name for name in predicted)
    openers = {
        "zarr": f"xarray.open_{'datatree' if nested else 'zarr'}({place}"
        + (', engine="zarr")' if nested else ")"),
        "parquet": f"pyarrow.dataset.dataset({place}, exclude_invalid_files=True)",
        "jsonl": f"pandas.concat(pandas.read_json(p, lines=True) for p in "
        f"sorted(pathlib.Path({place}).glob({quoted('part-*.jsonl')})))",
    }
    own = f"foretell.open_run({place})[{quoted(predicted[0])}][:]"
    if "://" in url:  # what libraries need beside themselves to read there, nobody knows
        return [f"foretell.open_run({place}).to_xarray()", own]
    return [openers[kind], own] if kind in openers else [own]


def openings(contents: Contents, url: str, array: ArrayInfo) -> list[Opening]:
    """Ways to open one output: Python always, viewers of images where it is one.

    Args:
        contents: The store.
        url: Where it is.
        array: The output.
    """
    first, *_ = expressions(contents, url, _double)
    library = first.partition(".")[0]
    found = [Opening(library, (_python(f"import {_imports(library)}; data = {first}", stay=True),))]
    if library != "foretell":
        own = f"data = foretell.open_run({_double(url)})[{_double(array.name)}]"
        found.append(Opening("foretell", (_python(f"import foretell; {own}", stay=True),)))
    if contents.kind == "zarr" and _is_image(array):
        found += _viewers(url, array)
    return found


def _double(text: str) -> str:
    """A Python literal in double quotes: JSON's is one, and a shell's single quotes hold it."""
    return json.dumps(text)


def _imports(library: str) -> str:
    return {"pyarrow": "pyarrow.dataset", "pandas": "pandas, pathlib"}.get(library, library)


def _is_image(array: ArrayInfo) -> bool:
    return len(array.shape) >= 3 and array.dtype not in ("string", "str", "json")


def _viewers(url: str, array: ArrayInfo) -> list[Opening]:
    place = f"{url.rstrip('/')}/{array.name}"
    napari = f'import napari, zarr; napari.view_image(zarr.open_array({_double(place)}, mode="r"))'
    found = [Opening("napari", (_python(f"{napari}; napari.run()"),))]
    if "://" not in url:
        local = f"http://127.0.0.1:{_PORT}/{quote(array.name)}"
        serve = f"npx http-server {shlex.quote(url)} --cors -a 127.0.0.1 -p {_PORT}"
        found.append(Opening("neuroglancer", (serve, _neuroglancer(f"zarr3://{local}", array))))
        found.append(Opening("vizarr", (serve, _vizarr(local))))
    elif url.startswith("s3://"):
        found.append(Opening("neuroglancer", (_neuroglancer(f"zarr3://{place}", array),)))
    return found


def _neuroglancer(source: str, array: ArrayInfo) -> str:
    layers = [{"type": "image", "source": source, "name": array.name}]
    return "https://neuroglancer-demo.appspot.com/#!" + quote(json.dumps({"layers": layers}))


def _vizarr(source: str) -> str:
    return f"https://hms-dbmi.github.io/vizarr/?source={quote(source, safe=':/')}"


def _python(code: str, *, stay: bool = False) -> str:
    return f"python {'-ic' if stay else '-c'} {shlex.quote(code)}"
