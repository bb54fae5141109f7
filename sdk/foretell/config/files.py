"""Reading the files a job's settings come from: the job file and ``pyproject.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretell.config.layers import Layer, Value, from_table
from foretell.config.origins import Key, key_lines
from foretell.config.problems import JobError, Problem
from foretell.config.suggest import nearest
from foretell.errors import ConfigError

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_job_file(path: Path, shown: str) -> Layer:
    """The layer of a job file.

    Args:
        path: The file.
        shown: The path as the user typed it, for origins.

    Raises:
        ConfigError: missing, unreadable, or not TOML.
    """
    if not path.is_file():
        raise _no_file(path, shown)
    return _layer(_parse(path, shown), shown, (), path, None)


def read_pyproject(start: Path, cwd: Path) -> Layer:
    """The layer of ``[tool.foretell]`` in the nearest ``pyproject.toml`` at or above ``start``."""
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            shown = shorten(path, cwd)
            table = dict(_parse(path, shown).get("tool", {}).get("foretell", {}))
            table.pop("tui", None)  # of the dashboard: no setting of a job
            return _layer(table, shown, ("tool", "foretell"), path, folder)
    return {}


def _layer(
    table: Mapping[str, Any], shown: str, prefix: Key, path: Path, base: Path | None
) -> Layer:
    if not table:
        return {}
    lines = key_lines(path.read_text(encoding="utf-8"))

    def make(key: Key, value: Any) -> Value:
        full = prefix + key
        while full and full not in lines:
            full = full[:-1]
        return Value(value, f"{shown}:{lines[full]}" if full else shown, base=base)

    return from_table(table, make)


def _parse(path: Path, shown: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(
            "this is not a job file: it holds no text",
            facts=[("file", shown)],
            tries=[(f"--source {shown}", "if it is the data")],
            slug="config-file",
        ) from None
    except OSError as error:
        raise ConfigError(
            "the file cannot be read",
            facts=[("file", shown), ("reason", error.strerror or str(error))],
            slug="config-file",
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise JobError([_bad_toml(shown, text, str(error))]) from None


def _bad_toml(shown: str, text: str, message: str) -> Problem:
    match = _PLACE.search(message)
    why = message[: match.start()] if match else message
    if match is None or match[1] is None:
        return Problem(shown, f"not valid TOML: {why}", origin="at its end")
    line = text.splitlines()[int(match[1]) - 1].strip()
    place = f"line {match[1]}, column {match[2]}"
    return Problem(f"{shown}:{match[1]}", f"not valid TOML: {why}", line, place)


def _no_file(path: Path, shown: str) -> ConfigError:
    reason = "it is a folder" if path.is_dir() else "there is no such file"
    tries = [("sdk init", "writes a job that runs")]
    folder = path.parent
    if not path.is_dir() and folder.is_dir():
        near = nearest(path.name, [p.name for p in folder.glob("*.toml")])
        if near is not None:
            tries.insert(0, (str(Path(shown).parent / near), "the nearest file"))
    return ConfigError(
        "the job file cannot be read",
        facts=[("file", shown), ("reason", reason)],
        tries=tries,
        slug="config-file",
    )


def shorten(path: Path, cwd: Path) -> str:
    """``path`` from the working directory where it lies below it, absolute otherwise."""
    try:
        return str(path.relative_to(cwd))
    except ValueError:
        return str(path)
