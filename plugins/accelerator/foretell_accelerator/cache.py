"""Artifacts compiled while deploying, kept by what they were compiled from."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from foretell.digest import hash_json
from foretell.errors import LoadError

from foretell_accelerator import registry
from foretell_accelerator.compiling import Recipe
from foretell_accelerator.errors import ArtifactError
from foretell_accelerator.manifest import read_manifest, verify_files

WAIT = 3600.0
"""Seconds to wait for another process that compiles the same."""


def cached(
    folder: Path, recipe: Recipe, shapes: Mapping[str, Any], build: Callable[[Path], object]
) -> tuple[Path, bool]:
    """The artifact of a recipe in the cache, compiled now if it is not there.

    Processes that want the same at once compile it once: the others wait for the first.

    Args:
        folder: The cache.
        recipe: What identifies it, with the target's versions and device.
        shapes: What it is compiled for, plain data.
        build: Compiles into the folder it is given.

    Returns:
        The artifact's folder, and whether it was compiled now.

    Raises:
        LoadError: another process holds the place for longer than an hour.
    """
    place = folder / "artifacts" / key_of(recipe, shapes)
    with _alone(place):
        if place.exists():
            try:
                verify_files(place, read_manifest(place))
            except ArtifactError:
                shutil.rmtree(place)  # the cache may lose anything; it is compiled again
            else:
                return place, False
        build(place)
        return place, True


def key_of(recipe: Recipe, shapes: Mapping[str, Any]) -> str:
    """A name that is the same for the same model, target, shapes, versions and device."""
    target = registry.target(recipe.target)
    what = {
        "target": recipe.target,
        "precision": recipe.precision,
        "options": dict(recipe.options),
        "rewrites": list(recipe.rewrites),
        "fingerprint": dict(recipe.fingerprint),
        "decoder": recipe.decoder,
        "shapes": dict(shapes),
        "versions": dict(target.versions()),
        "compiler": dict(target.compiler_versions()),
        "device": target.device_kind(recipe.device),
    }
    return hash_json(what).removeprefix("sha256:")[:32]


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock of one place in the cache; a dead holder's is free at once."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + WAIT
        while not _locked(handle):
            if time.monotonic() > until:
                raise LoadError(
                    "another process has been compiling the same model for an hour",
                    facts=[("waiting for", str(place))],
                    tries=[("end it", "or set FORETELL_CACHE_DIR to another folder")],
                    slug="compile-busy",
                )
            time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
