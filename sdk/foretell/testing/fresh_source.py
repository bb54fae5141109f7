"""Reads a source in a process of its own, built from plain settings as a worker builds it."""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from typing import Any

from foretell.abc import SourceOptions
from foretell.testing.fresh import FRAMEWORKS
from foretell.types import Rows

LIBRARIES = frozenset(
    {"zarr", "numcodecs", "obstore", "pyarrow", "pandas", "xarray", "dask", "distributed"}
    | {"tensorstore", "h5py", "PIL", "cv2"}
)
"""What importing a source's module must not import: naming a source costs nothing."""

_MAIN = "from foretell.testing import fresh_source; fresh_source.{0}()"


@dataclass(frozen=True, slots=True)
class ReadElsewhere:
    """What the other process saw."""

    length: int
    rows: Rows
    fingerprint: dict[str, str]


def read_elsewhere(cls: type, options: SourceOptions) -> ReadElsewhere:
    """Build ``cls`` from its settings in a fresh process and read all of it."""
    request = (_place(cls), options.model_dump(mode="json"), str(options.base_dir))
    answer: ReadElsewhere = _ask("_read", request)
    return answer


def imported_by(cls: type, heavy: tuple[str, ...] = ()) -> list[str]:
    """The heavy modules that importing the module of ``cls`` imports."""
    names = sorted(FRAMEWORKS | LIBRARIES | set(heavy))
    return list(_imported(_place(cls), tuple(names)))


@functools.cache
def _imported(name: str, heavy: tuple[str, ...]) -> tuple[str, ...]:
    answer: tuple[str, ...] = _ask("_import", (name, heavy))
    return answer


def _place(cls: type) -> str:
    """How a fresh process finds a class: by its package, else by its file.

    A top-level name without a file of its own is the name of a folder of tests more often than of
    an installed package.
    """
    top = PathFinder.find_spec(cls.__module__.partition(".")[0])
    if top is not None and top.origin is not None:
        return f"{cls.__module__}:{cls.__qualname__}"
    return f"{sys.modules[cls.__module__].__file__}:{cls.__qualname__}"


def _ask(name: str, request: Any) -> Any:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-c", _MAIN.format(name)],
        input=pickle.dumps(request),
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, f"a fresh process failed:\n{done.stderr.decode()}"
    return pickle.loads(done.stdout)


def _read() -> None:
    from foretell.imports import load_object

    name, settings, base_dir = pickle.load(sys.stdin.buffer)
    cls = load_object(name, base_dir)
    source = cls.from_options(cls.Options.model_validate(settings).at(base_dir))
    length = len(source)
    answer = ReadElsewhere(length, source.read(0, length), dict(source.fingerprint()))
    sys.stdout.buffer.write(pickle.dumps(answer))


def _import() -> None:
    from foretell.imports import load_object

    name, heavy = pickle.load(sys.stdin.buffer)
    load_object(name, os.getcwd())
    sys.stdout.buffer.write(pickle.dumps(tuple(one for one in heavy if one in sys.modules)))
