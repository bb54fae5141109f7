"""Modules of a job's folder, imported apart from everything else in the process.

They live under a package of their own (``foretell_job_…``) and see an ``__import__`` of their own
that finds their neighbours. So ``sys.path`` stays as it is, a job's ``model.py`` is never taken for
an installed ``model``, two jobs in one process never mix, and an edited file is read anew by the
next job. Bytecode is not cached: the file that is fingerprinted is the file that runs.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.machinery
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

_PREFIX = "foretell_job_"
_EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_NEVER_LOCAL = frozenset({"foretell"})


def beside(folder: Path, dotted: str) -> Path | None:
    """The file of a module in ``folder``: a module, a regular package or an extension."""
    place = folder.joinpath(*dotted.split("."))
    for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
        if file.is_file():
            return file
    extensions = (place.with_name(place.name + suffix) for suffix in _EXTENSIONS)
    return next((file for file in extensions if file.is_file()), None)


def installed_spec(dotted: str, besides: Path) -> ModuleSpec | None:
    """The spec of an installed module. Unlike ``importlib.util.find_spec`` imports no parent."""
    top, *rest = dotted.split(".")
    paths = [entry for entry in sys.path if Path(entry or ".").resolve() != besides]
    spec = _search(top, None, paths)
    for depth in range(len(rest)):
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = ".".join([top, *rest[: depth + 1]])
        locations = list(spec.submodule_search_locations)
        spec = _search(name, locations, locations)
    return spec


def _search(name: str, path: Sequence[str] | None, paths: Sequence[str]) -> ModuleSpec | None:
    for finder in sys.meta_path:
        where = paths if finder is PathFinder else path
        spec: ModuleSpec | None = finder.find_spec(name, where)
        if spec is not None:
            return spec
    return None


class Workspace:
    """The modules of one folder, as they were when they were first imported."""

    def __init__(self, folder: Path, package: str) -> None:
        self.folder = folder
        self.package = package
        self.sources: dict[str, bytes] = {}
        self.builtins = {**vars(builtins), "__import__": self._import}
        self.holds = cache(self._holds)
        self.names: frozenset[str] = frozenset()
        self.look()
        parent = ModuleType(package, f"Modules of {folder}.")
        parent.__path__ = [str(folder)]
        sys.modules[package] = parent

    def look(self) -> None:
        """Forget what was held and see what the folder has now."""
        self.holds.cache_clear()
        try:
            self.names = frozenset(path.name.partition(".")[0] for path in self.folder.iterdir())
        except OSError:
            self.names = frozenset()

    def stale(self) -> bool:
        """Whether a file was changed after it was imported from here."""
        return any(_digest_of(path) != digest for path, digest in self.sources.items())

    def _holds(self, dotted: str) -> bool:
        """Whether code of this folder that imports ``dotted`` means a module of the folder."""
        top = dotted.partition(".")[0]
        if top in _NEVER_LOCAL:
            return False
        file = beside(self.folder, top)
        if file is None:
            if beside(self.folder, dotted) is not None:
                return True
            return (self.folder / top).is_dir() and installed_spec(top, self.folder) is None
        installed = installed_spec(top, self.folder)
        return installed is None or installed.origin is None or not _same(file, installed.origin)

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """``__import__`` as the folder's modules see it."""
        # What is loaded already and not here is found without a look at the disk. Compiled code
        # imports this way while it holds locks, and a look at the disk lets other threads run
        # into them.
        loaded = name in sys.modules and name.partition(".")[0] not in self.names
        if level or loaded or not self.holds(name):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        try:
            module = importlib.import_module(f"{self.package}.{name}")
            if fromlist:
                return builtins.__import__(module.__name__, globals, locals, fromlist, 0)
        except ModuleNotFoundError as error:
            raise self._plain(error) from error.__cause__
        return sys.modules[f"{self.package}.{name.partition('.')[0]}"]

    def _plain(self, error: ModuleNotFoundError) -> ModuleNotFoundError:
        """The error with module names as the user wrote them."""
        text, prefix = str(error), f"{self.package}."
        name = (error.name or "").removeprefix(prefix)
        return ModuleNotFoundError(text.replace(prefix, ""), name=name, path=error.path)


class _Loader(SourceFileLoader):
    """Runs a module of a workspace from its source, seeing its neighbours."""

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path)
        workspace = _by_package[fullname.partition(".")[0]]
        workspace.sources[self.path] = hashlib.sha256(source).digest()
        code: CodeType = self.source_to_code(source, self.path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        workspace = _by_package[module.__name__.partition(".")[0]]
        module.__dict__["__builtins__"] = workspace.builtins
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds modules inside workspaces; everything else is left to the other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX):
            return None
        loaders = [
            (importlib.machinery.ExtensionFileLoader, list(_EXTENSIONS)),
            (_Loader, importlib.machinery.SOURCE_SUFFIXES),
        ]
        specs = (FileFinder(entry, *loaders).find_spec(fullname) for entry in path or ())
        return next((spec for spec in specs if spec is not None), None)


_lock = threading.Lock()
_by_folder: dict[Path, Workspace] = {}
_by_package: dict[str, Workspace] = {}


def workspace_of(folder: Path) -> Workspace:
    """The folder's modules; a fresh set when a file was edited since the last time."""
    with _lock:
        known = _by_folder.get(folder)
        if known is not None and not known.stale():
            known.look()
            return known
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:10]
        generation = sum(1 for other in _by_package.values() if other.folder == folder) + 1
        suffix = f"_{generation}" if generation > 1 else ""
        fresh = Workspace(folder, f"{_PREFIX}{digest}{suffix}")
        _by_folder[folder] = _by_package[fresh.package] = fresh
        return fresh


def _digest_of(path: str) -> bytes | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).digest()
    except OSError:
        return None


def _same(file: Path, other: str) -> bool:
    try:
        return file.samefile(other)
    except OSError:
        return False
