"""Hashes that identify data, settings and live objects, equal in every process."""

from __future__ import annotations

import contextlib
import copyreg
import datetime
import dis
import functools
import hashlib
import inspect
import json
import logging
import os
import site
import sysconfig
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from foretell.errors import ConfigError, ShapeMismatch
from foretell.outputs import to_host

_BLOCK = 2**22
_PLAIN = (bool, int, float, complex, str, bytes)
_CODE = (FunctionType, staticmethod, classmethod, property)
_NOT_CODE = frozenset({"__module__", "__qualname__", "__doc__", "__firstlineno__"})


def _named(digest: Any) -> str:
    return f"sha256:{digest.hexdigest()}"


def hash_bytes(data: bytes) -> str:
    """``sha256:`` and the digest of ``data``."""
    return _named(hashlib.sha256(data))


def hash_file(path: Path | str) -> str:
    """Digest of a file's bytes, read in blocks.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return _named(hashlib.file_digest(file, "sha256"))


def hash_tree(folder: Path | str) -> str:
    """Digest of every file below a folder: relative names and contents, in sorted order.

    Links to files count as the files they lead to; ``__pycache__`` is left out.

    Raises:
        OSError: something in it cannot be read.
    """
    digest = hashlib.sha256()
    root = Path(folder)
    for file in _files(root):
        name = file.relative_to(root).as_posix().encode()
        digest.update(b"%d:%s" % (len(name), name))
        digest.update(hash_file(file).encode())
    return _named(digest)


def _files(root: Path) -> list[Path]:
    found = []
    for folder, subfolders, names in os.walk(root, onerror=_raise):
        subfolders[:] = [name for name in subfolders if name != "__pycache__"]
        found += [Path(folder) / name for name in names]
    return sorted(found, key=lambda file: file.relative_to(root).parts)


def _raise(error: OSError) -> None:
    raise error


def hash_path(path: Path | str) -> str:
    """:func:`hash_file` or :func:`hash_tree`, whichever fits."""
    return hash_tree(path) if Path(path).is_dir() else hash_file(path)


def hash_array(array: np.ndarray) -> str:
    """Digest of an array's dtype, shape and values. Memory order does not matter."""
    digest = hashlib.sha256()
    _feed_array(digest, array)
    return _named(digest)


def _feed_array(digest: Any, array: np.ndarray) -> None:
    digest.update(f"{array.dtype.newbyteorder('=').str}{array.shape}".encode())
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.flags.c_contiguous:
        flat = native.reshape(-1).view(np.uint8)
        for start in range(0, flat.size, _BLOCK):
            digest.update(flat[start : start + _BLOCK].data)
    else:
        digest.update(np.ascontiguousarray(native).tobytes())


def canonical_json(value: Any) -> str:
    """``value`` as JSON, equal values giving equal text: sorted keys, no spaces.

    Tuples count as lists, paths and dates as their text. NaN and infinity keep their names.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_jsonable
    )


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not plain data")


def hash_json(value: Any) -> str:
    """Digest of :func:`canonical_json`."""
    return hash_bytes(canonical_json(value).encode())


def hash_object(value: Any, what: str = "model") -> str:
    """Digest of a live object: what it is made of and the state it holds.

    Functions count with their source, defaults, closure and the globals they use; classes with
    their source and their bases'; instances with class and state (what pickling would keep);
    arrays and tensors with their values. Code of installed libraries counts by name alone.

    Args:
        value: A function, class, instance, array or plain data.
        what: What to call it in an error.

    Raises:
        ConfigError: some part of it cannot be hashed; it asks for ``version=``.
    """
    hasher = _Hasher(what)
    hasher.feed(value, what)
    return _named(hasher.digest)


class _Hasher:
    """Walks an object, feeding one digest. ``path`` says how the walk got there."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.digest = hashlib.sha256()
        self.seen: dict[int, tuple[int, Any]] = {}

    def tag(self, kind: str, text: str = "") -> None:
        data = text.encode("utf-8", "surrogatepass")
        self.digest.update(f"{kind}{len(data)}:".encode() + data)

    def feed(self, value: Any, path: str) -> None:
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self.tag(type(value).__name__, repr(value))
            return
        if isinstance(value, tuple | frozenset | np.ndarray):
            # Whether equal ones are one object depends on how the code was loaded.
            self.feed_new(value, path)
            return
        if id(value) in self.seen:
            self.tag("again", str(self.seen[id(value)][0]))
            return
        # The object is kept, so that its id cannot be given to another while the walk lasts.
        self.seen[id(value)] = (len(self.seen), value)
        self.feed_new(value, path)

    def feed_new(self, value: Any, path: str) -> None:
        if isinstance(value, np.ndarray | np.generic):
            self.array(np.asarray(value), path)
        elif type(value) in (dict, list, tuple, set, frozenset):
            self.container(value, path)
        elif isinstance(value, ModuleType | logging.Logger):
            self.tag(type(value).__name__, getattr(value, "__name__", None) or value.name)
        elif isinstance(value, BuiltinFunctionType):
            self.feed_all("builtin", (value.__qualname__, value.__self__), path)
        elif isinstance(value, type):
            self.klass(value, path)
        elif isinstance(value, FunctionType):
            self.function(value, path)
        elif isinstance(value, MethodType):
            self.feed_all("method", (value.__self__, value.__func__), path)
        elif isinstance(value, functools.partial):
            self.feed_all("partial", (value.func, value.args, value.keywords), path)
        else:
            self.instance(value, path)

    def feed_all(self, kind: str, values: Iterable[Any], path: str) -> None:
        self.tag(kind)
        for value in values:
            self.feed(value, path)

    def array(self, array: np.ndarray, path: str) -> None:
        self.tag("array")
        if array.dtype.hasobject:
            self.feed_all(str(array.shape), array.ravel().tolist(), path)
        else:
            _feed_array(self.digest, array)

    def container(self, value: Any, path: str) -> None:
        self.tag(type(value).__name__, str(len(value)))
        if isinstance(value, Mapping):
            for key, item in value.items():
                self.feed(key, f"{path} key")
                self.feed(item, f"{path}[{key!r}]")
        elif isinstance(value, Set):
            for text in sorted(hash_object(item, self.what) for item in value):
                self.tag("item", text)
        else:
            for position, item in enumerate(value):
                self.feed(item, f"{path}[{position}]")

    def klass(self, value: type, path: str) -> None:
        for base in value.__mro__:
            if _of_a_library(base):
                self.tag("class", f"{base.__module__}.{base.__qualname__}")
            else:
                self.tag("class", base.__qualname__)
                self.members(base, path)

    def members(self, base: type, path: str) -> None:
        """Methods, properties and plain attributes of a class, not those of its bases."""
        for name, member in vars(base).items():
            plain = isinstance(member, _PLAIN) or type(member) in (tuple, list, dict)
            if name in _NOT_CODE or not (plain or isinstance(member, _CODE)):
                continue
            self.tag("member", name)
            for part in _parts(member):
                self.feed(part, f"{path}.{base.__name__}.{name}")

    def function(self, value: FunctionType, path: str) -> None:
        if _of_a_library(value):
            self.tag("function", f"{value.__module__}.{value.__qualname__}")
            return
        # Without the module: the same file may be run as a script or found beside a job.
        self.tag("function", value.__qualname__)
        self.code(value.__code__)
        self.feed(value.__defaults__, f"{path} defaults")
        self.feed(value.__kwdefaults__, f"{path} defaults")
        for kind, names in (("closure", _closure(value)), ("global", _globals(value))):
            for name in sorted(names):
                self.tag(kind, name)
                self.feed(names[name], f"{path}: {kind} {name!r}")

    def code(self, code: CodeType) -> None:
        self.digest.update(code.co_code)
        self.tag("names", repr((code.co_names, code.co_varnames, code.co_freevars)))
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self.code(constant)
            else:
                self.tag("constant", _constant(constant))

    def instance(self, value: Any, path: str) -> None:
        if hasattr(value, "__array__") and hasattr(value, "shape"):
            self.tag("tensor", type(value).__name__)
            self.array(_values(value, path, self), path)
        elif callable(getattr(value, "__wrapped__", None)):
            self.feed_all(f"wrapped {type(value).__qualname__}", [value.__wrapped__], path)
        else:
            self.reduced(value, path)

    def reduced(self, value: Any, path: str) -> None:
        """Feed what pickling would keep, without pickling anything."""
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            parts: Any = reduce(value) if reduce is not None else value.__reduce_ex__(4)
        except Exception as error:
            raise self.unhashable(value, path, error) from None
        self.klass(type(value), path)
        if isinstance(parts, str):
            self.tag("named", parts)
            return
        self.tag("made by", getattr(parts[0], "__qualname__", type(parts[0]).__qualname__))
        for part in parts[1:]:
            self.feed(list(part) if hasattr(part, "__next__") else part, path)

    def unhashable(self, value: Any, path: str, error: Exception) -> ConfigError:
        return ConfigError(
            f"the {self.what} cannot be hashed, so a change of it could not be noticed",
            facts=[
                ("part", f"{path} ({type(value).__module__}.{type(value).__qualname__})"),
                ("cause", str(error).partition("\n")[0] or type(error).__name__),
            ],
            tries=[('version="1"', f"name its state yourself; change it with the {self.what}")],
            slug="config-version",
        )


def _constant(value: Any) -> str:
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(repr, value))}"
    return repr(value)


def _parts(member: Any) -> Sequence[Any]:
    """The functions behind a member of a class, or the member itself."""
    if isinstance(member, property):
        return [part for part in (member.fget, member.fset, member.fdel) if part is not None]
    if isinstance(member, staticmethod | classmethod):
        return [member.__func__]
    return [member]


def _closure(function: FunctionType) -> dict[str, Any]:
    """Variables a function took from the functions around it; unset ones are left out."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def _globals(function: FunctionType) -> dict[str, Any]:
    """Globals of its module that a function, or one inside it, reads."""
    names = _global_names(function.__code__)
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


def _global_names(code: CodeType) -> set[str]:
    names = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    inner = (item for item in code.co_consts if isinstance(item, CodeType))
    return names.union(*map(_global_names, inner))


def _values(value: Any, path: str, hasher: _Hasher) -> np.ndarray:
    """The values of an array of another library."""
    try:
        return np.asarray(to_host(value))
    except ShapeMismatch as error:
        raise hasher.unhashable(value, path, error) from None


@functools.cache
def _library_folders() -> Sequence[str]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(os.path.join(folder, "") for folder in folders if folder)


def _of_a_library(value: Any) -> bool:
    """Whether a class or function belongs to the interpreter or an installed package."""
    try:
        file = inspect.getfile(value)
    except (TypeError, OSError):
        return getattr(value, "__module__", "") in ("builtins", None)
    return file.startswith((*_library_folders(), "<frozen"))
