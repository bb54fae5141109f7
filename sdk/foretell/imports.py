"""Import strings: ``module:attribute`` or ``path/to/file.py:attribute``, beside the job file first.

How modules beside the job file are kept apart from installed ones is in
:mod:`foretell.workspaces`.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from foretell.errors import ConfigError, Fact, LoadError
from foretell.workspaces import beside, installed_spec, workspace_of


@dataclass(frozen=True, slots=True)
class ImportString:
    """A parsed import string.

    Attributes:
        text: As the user typed it.
        folder: Where its module and that module's neighbours are looked up first.
        module: Dotted name of the module, relative to ``folder``.
        attribute: What to take from it, perhaps dotted.
        is_path: Whether the user named a file, so that nothing else is meant.
    """

    text: str
    folder: Path
    module: str
    attribute: str
    is_path: bool


def parse_import_string(text: str, base_dir: Path | str) -> ImportString:
    """Take an import string apart, without looking whether anything is there.

    Raises:
        ConfigError: it is not of the form ``module:attribute``.
    """
    place, colon, attribute = text.rpartition(":")
    is_path = place.endswith(".py") or "/" in place
    names = attribute.split(".") + ([] if is_path else place.split("."))
    if not colon or not place or not all(name.isidentifier() for name in names):
        raise ConfigError(
            f"{text!r} is not an import string",
            facts=[("expected", "module:attribute or path/to/file.py:attribute")],
            tries=_completions(text, Path(base_dir)),
            slug="config-import",
        )
    if not is_path:
        return ImportString(text, Path(base_dir).resolve(), place, attribute, False)
    path = (Path(base_dir) / Path(place).expanduser()).resolve()
    return ImportString(text, path.parent, path.stem, attribute, True)


def _completions(text: str, base_dir: Path) -> list[Fact]:
    stem = text.rstrip(":")
    for place in (base_dir / stem, base_dir / f"{stem}.py"):
        if place.suffix == ".py" and place.is_file():
            return [(f"{stem}:NAME", f"NAME is a function or class of {place.name}")]
    return []


def load_object(text: str, base_dir: Path | str) -> Any:
    """The object an import string names.

    Args:
        text: ``module:attribute`` or ``path/to/file.py:attribute``.
        base_dir: Folder of the job file: relative files and modules are looked up there first.

    Raises:
        ConfigError: the text is not an import string.
        LoadError: no such module or attribute, or importing it failed; with the file, the cause
            and near misses.
    """
    wanted = parse_import_string(text, base_dir)
    file = module_file(text, base_dir)
    try:
        module = _import(wanted)
    except (Exception, SystemExit) as error:
        raise _cannot_import(wanted, file, error) from error
    return _attribute(module, wanted, file)


def module_file(text: str, base_dir: Path | str) -> Path | None:
    """The source file of an import string's module, found without importing anything.

    Returns:
        The ``.py`` file (a package's ``__init__.py``) or extension module; None for modules that
        have no file: built into the interpreter, or made by hand.

    Raises:
        ConfigError: the text is not an import string.
        LoadError: there is no such module.
    """
    wanted = parse_import_string(text, base_dir)
    neighbour = beside(wanted.folder, wanted.module)
    if neighbour is not None:
        return neighbour
    if wanted.is_path:
        raise _no_file(wanted)
    spec = installed_spec(wanted.module, wanted.folder)
    if spec is not None:
        return Path(spec.origin) if spec.has_location and spec.origin else None
    if wanted.module in sys.modules:
        origin = getattr(sys.modules[wanted.module], "__file__", None)
        return Path(origin) if origin else None
    raise _no_module(wanted)


def _import(wanted: ImportString) -> ModuleType:
    if beside(wanted.folder, wanted.module) is not None:
        workspace = workspace_of(wanted.folder)
        if wanted.is_path or workspace.holds(wanted.module):
            return importlib.import_module(f"{workspace.package}.{wanted.module}")
    return importlib.import_module(wanted.module)


def _attribute(module: ModuleType, wanted: ImportString, file: Path | None) -> Any:
    found: Any = module
    for name in wanted.attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _no_attribute(found, name, wanted, file) from None
    return found


def _no_file(wanted: ImportString) -> LoadError:
    path = wanted.folder / f"{wanted.module}.py"
    others = [file.name for file in _python_files(wanted.folder)]
    near = difflib.get_close_matches(path.name, others, n=1)
    return LoadError(
        f"there is no file {path.name}",
        facts=[("import", wanted.text), ("looked at", str(path))],
        tries=[(f"{wanted.text.replace(path.name, near[0])}", "")] if near else [],
    )


def _no_module(wanted: ImportString) -> LoadError:
    names = [file.stem for file in _python_files(wanted.folder)]
    near = difflib.get_close_matches(wanted.module, names, n=1)
    return LoadError(
        f"there is no module {wanted.module!r}",
        facts=[
            ("import", wanted.text),
            ("looked in", f"{wanted.folder}, then the installed packages"),
        ],
        tries=[(f"{near[0]}:{wanted.attribute}", "")] if near else [],
    )


def _python_files(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob("*.py"))
    except OSError:
        return


def _no_attribute(holder: Any, name: str, wanted: ImportString, file: Path | None) -> LoadError:
    names = sorted(public for public in dir(holder) if not public.startswith("_"))
    near = difflib.get_close_matches(name, names, n=1)
    stem = wanted.text.rpartition(":")[0]
    facts = [("import", wanted.text), *_file_fact(file)]
    own = [public for public in names if _is_defined_in(getattr(holder, public, None), holder)]
    if own or names:
        shown = own or names
        facts.append(("public names", ", ".join(shown[:12]) + (" …" if len(shown) > 12 else "")))
    return LoadError(
        f"{stem} has no {name!r}",
        facts=facts,
        tries=[(f"{stem}:{wanted.attribute.replace(name, near[0])}", "")] if near else [],
    )


def _is_defined_in(value: Any, holder: Any) -> bool:
    return callable(value) and getattr(value, "__module__", "") == getattr(holder, "__name__", None)


def _cannot_import(wanted: ImportString, file: Path | None, error: BaseException) -> LoadError:
    stem = wanted.text.rpartition(":")[0]
    facts = [("import", wanted.text), *_file_fact(file, _line(error, file))]
    facts.append(("cause", "".join(traceback.format_exception_only(error)[-1:]).strip()))
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return LoadError(
        f"{stem} cannot be imported",
        facts=facts,
        tries=[(f"install what provides {missing!r}", "")] if missing else [],
    )


def _file_fact(file: Path | None, line: int | None = None) -> list[Fact]:
    if file is None:
        return []
    return [("file", f"{file}:{line}" if line else str(file))]


def _line(error: BaseException, file: Path | None) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return lines[-1] if lines else None
