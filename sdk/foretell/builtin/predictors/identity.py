"""The parts of a callable's fingerprint, taken without importing what they identify."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretell.digest import hash_file, hash_json, hash_object, hash_path
from foretell.errors import ConfigError, LoadError


def check_checkpoint(path: str | None, given: str | None, *, remote: bool = True) -> None:
    """Refuse a checkpoint that does not exist.

    Args:
        path: Absolute path, or None for no checkpoint.
        given: As the job has it.
        remote: Whether it may be an address (``s3://…``), which is looked for when it is read.

    Raises:
        LoadError: naming the path looked at.
    """
    if path is None or (remote and "://" in path) or Path(path).exists():
        return
    raise LoadError(
        f"there is no checkpoint {given!r}",
        facts=[("looked at", path)],
        slug="load-checkpoint",
    )


def named(part: str, text: str, file: Path | None) -> dict[str, str]:
    """An import string and the source file it leads to (not what that file imports)."""
    parts = {part: text}
    if file is not None:
        parts[f"{part}.source"] = hash_file(file)
    return parts


def live(value: Any, part: str, version: str | None) -> str:
    """A live object: its hash, or only its name where the user vouches for it by a version.

    Raises:
        ConfigError: it cannot be hashed.
    """
    if version is None:
        return hash_object(value, part)
    return name_of(value)


def name_of(value: Any) -> str:
    """What a live function, class or object is called."""
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def settings(options: Mapping[str, Any], *, factory: bool) -> dict[str, str]:
    """The keyword arguments of the model, hashed because they may hold what is nobody's business.

    Raises:
        ConfigError: a live object among them cannot be hashed.
    """
    parts = {"factory": "true"} if factory else {}
    try:
        parts["options"] = hash_json(options)
    except TypeError:
        parts["options"] = hash_object(dict(options), "options")
    return parts


def checkpoint(path: str, version: str | None) -> str:
    """The weights' bytes; for a URL its text, vouched for by a version.

    Raises:
        ConfigError: a URL without a version.
        LoadError: the file cannot be read.
    """
    if "://" not in path:
        try:
            return hash_path(path)
        except OSError as error:
            raise LoadError(
                "the checkpoint cannot be read", facts=[("file", path), ("cause", str(error))]
            ) from error
    if version is None:
        raise ConfigError(
            "a change of a checkpoint at a URL could not be noticed",
            facts=[("checkpoint", path)],
            tries=[('version = "1"', "name its state yourself; change it with the checkpoint")],
            slug="config-version",
        )
    return path
