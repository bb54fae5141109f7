"""Lists a local store, and removes what killed writers left behind."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from foretell.store.confine import Root
from foretell.store.layout import PROBE
from foretell.store.staging import STAGE_PARTS

LEFTOVER_SCAN = 100_000
"""Entries looked at for foreign leftovers. Our own writers leave none outside the staging folder,
so a store of millions of chunks need not be walked whole at every resume."""

# zarr's LocalStore writes NAME.<hex>.partial, obstore's local file system NAME#1; a driver that was
# killed while it tried the place leaves its probe.
_LEFTOVER = re.compile(rf".+(\.partial|#\d+)\Z|{re.escape(PROBE)}[0-9a-f-]+\Z")

Parts = tuple[str, ...]


def walk(root: Root, parts: Parts, start: str = "") -> Iterator[str]:
    """Keys of all files below ``parts`` whose first name begins with ``start``, breadth first."""
    waiting = [parts]
    first = True
    while waiting:
        below: list[Parts] = []
        for folder in waiting:
            for name, is_folder in _entries(root, folder):
                if first and not name.startswith(start):
                    continue
                if is_folder:
                    below.append((*folder, name))
                else:
                    yield "/".join((*folder, name))
            first = False
        waiting = below


def remove_staged(root: Root, own: str, start: str = "") -> int:
    """Remove the staged files of labels that begin with ``start`` and are not ``own``."""
    removed = 0
    for label, is_folder in list(_entries(root, STAGE_PARTS)):
        if not is_folder or not label.startswith(start):
            continue
        staged = (*STAGE_PARTS, label)
        names = [name for name, _ in _entries(root, staged)]
        if label != own:
            removed += sum(_remove(root, staged, name) for name in names)
        _remove_folder(root, label)
    return removed


def remove_leftovers(root: Root) -> int:
    """Remove half-written files of foreign writers, and probes; returns how many."""
    removed = 0
    for seen, key in enumerate(walk(root, ())):
        if seen >= LEFTOVER_SCAN:
            break
        if _LEFTOVER.match(key):
            *folder, name = key.split("/")
            removed += _remove(root, tuple(folder), name)
    return removed


def _entries(root: Root, folder: Parts) -> Iterator[tuple[str, bool]]:
    """(name, whether a folder) of regular files and folders; links and the like are left out."""
    try:
        with root.folder(folder) as descriptor, os.scandir(descriptor) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name, True
                elif entry.is_file(follow_symlinks=False):
                    yield entry.name, False
    except FileNotFoundError:
        return  # removed while we were on our way there


def _remove(root: Root, folder: Parts, name: str) -> bool:
    try:
        with root.folder(folder) as descriptor:
            os.unlink(name, dir_fd=descriptor)
    except FileNotFoundError:
        return False
    return True


def _remove_folder(root: Root, label: str) -> None:
    # A folder that a writer is filling at this moment is not empty and stays.
    with suppress(OSError), root.folder(STAGE_PARTS) as descriptor:
        os.rmdir(label, dir_fd=descriptor)
