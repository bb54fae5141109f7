"""Finds the local files a source is made of, and says helpfully that they are not there."""

from __future__ import annotations

import difflib
import glob
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from foretell.abc import SourceOptions
from foretell.errors import LoadError
from foretell.redact import redact_url
from foretell.text import visible

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")
"""Endings of compressed files: their rows cannot be found without unpacking everything."""

_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a source as it was when the source was opened.

    Attributes:
        path: Absolute path.
        name: Path relative to the source's folder, with ``/``: how fingerprints and people know it.
        size: Bytes.
        mtime_ns: Time of last change, nanoseconds since the epoch.
    """

    path: str
    name: str
    size: int
    mtime_ns: int

    @property
    def label(self) -> str:
        """The name, safe to show on one line."""
        return visible(self.name)


def local_path(options: SourceOptions, kind: str) -> str:
    """The absolute path a source's ``path`` setting means.

    Raises:
        LoadError: no path was given, or it is a URL of something that is not a local file.
    """
    if not options.path:
        raise LoadError(f"the {kind} source needs a path", facts=[("setting", "source.path")])
    if options.path.startswith("file://"):
        return os.path.normpath(unquote(options.path.removeprefix("file://")))
    if "://" in options.path:
        raise LoadError(
            f"the {kind} source reads local files only",
            facts=[("path", visible(redact_url(options.path))), setting(options)],
            tries=[("download the files first", "and give their folder as the path")],
        )
    return options.resolve(options.path)


def setting(options: SourceOptions) -> tuple[str, str]:
    """The fact that tells which setting named the path."""
    return ("setting", f'source.path = "{visible(redact_url(options.path or ""))}"')


def find_files(options: SourceOptions, kind: str, suffixes: Sequence[str]) -> list[DataFile]:
    """The files that ``path`` means: one file, a folder's files, or those a pattern matches.

    A folder is searched with its subfolders for files with one of the ``suffixes``; names that
    start with ``.`` or ``_`` are left out, as every tool that writes folders of parts marks its own
    files so. Files come in the order of their names, compared byte by byte, so ``part-10`` stands
    before ``part-2``.

    Raises:
        LoadError: nothing is there.
    """
    path = local_path(options, kind)
    with opening(path):
        mode = _mode(path)
        if mode is not None and stat.S_ISDIR(mode):
            names = sorted(_walk(path))
            found = [name for name in names if name.endswith(tuple(suffixes))]
            _refuse_compressed(path, names, suffixes, options)
        elif mode is not None:
            path, name = os.path.split(path)
            found = [name]
        elif glob.has_magic(path):
            path, found = _match(path)
        else:
            raise missing(path, options)
        if not found:
            raise _nothing(path, suffixes, options)
        return [_file(path, name) for name in found]


def _mode(path: str) -> int | None:
    """What is at ``path``; None when nothing is. Not being allowed to look is an error."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _file(folder: str, name: str) -> DataFile:
    path = os.path.join(folder, name)
    found = os.stat(path)
    return DataFile(path, name.replace(os.sep, "/"), found.st_size, found.st_mtime_ns)


def _walk(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in names:
            if not name.startswith((".", "_")):
                yield os.path.relpath(os.path.join(parent, name), folder)


def _match(pattern: str) -> tuple[str, list[str]]:
    folder = pattern
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    matched = (path for path in glob.iglob(pattern, recursive=True) if os.path.isfile(path))
    return folder, sorted(os.path.relpath(path, folder) for path in matched)


def _refuse_compressed(
    path: str, names: Sequence[str], suffixes: Sequence[str], options: SourceOptions
) -> None:
    endings = tuple(suffix + packed for suffix in suffixes for packed in COMPRESSED)
    name = next((name for name in names if name.endswith(endings)), None)
    if name is not None:
        raise compressed(os.path.join(path, name), options)


def compressed(path: str, options: SourceOptions) -> LoadError:
    """The error for a compressed file, with the way out."""
    unpack = {".gz": "gunzip -k", ".bz2": "bunzip2 -k", ".xz": "unxz -k", ".zst": "unzstd"}
    command = unpack.get(Path(path).suffix, "unpack")
    return LoadError(
        "a compressed file cannot be read by row",
        facts=[("path", visible(path)), setting(options)],
        tries=[(f"{command} {visible(path)}", "and use the unpacked file")],
        slug="source-compressed",
    )


def missing(path: str, options: SourceOptions) -> LoadError:
    """The error for a path that does not exist, with names nearby that do."""
    parent, name = os.path.split(path)
    facts = [("path", visible(path)), setting(options)]
    while not os.path.isdir(parent) and parent != os.path.dirname(parent):
        parent, name = os.path.split(parent)
    if os.path.join(parent, name) != path:
        facts.append(("folder", f"{visible(os.path.join(parent, name))} does not exist either"))
    near = [visible(os.path.join(parent, other)) for other in near_names(name, _names(parent))]
    tries = [(f"--source {other}", "") for other in near]
    return LoadError("the source does not exist", facts=facts, tries=tries, slug="source-missing")


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _LISTED)]
    except OSError:
        return []


def near_names(name: str, known: Sequence[str]) -> list[str]:
    """Up to three of the known names that the one given may have meant."""
    folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    return [folded[other] for other in close]


def _nothing(path: str, suffixes: Sequence[str], options: SourceOptions) -> LoadError:
    pattern = glob.has_magic(options.path or "")
    wanted = "matching the pattern" if pattern else " or ".join(suffixes)
    return LoadError(
        f"there are no files {wanted} in this folder",
        facts=[("folder", visible(path)), setting(options)],
        slug="source-missing",
    )


@contextmanager
def opening(path: str) -> Iterator[None]:
    """Turn the operating system's refusal into a :class:`LoadError` that names the path."""
    try:
        yield
    except OSError as error:
        raise LoadError(
            "the source cannot be read",
            facts=[("path", visible(error.filename or path)), ("reason", visible(str(error)))],
            slug="source-unreadable",
        ) from error
