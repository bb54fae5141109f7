"""Tracebacks are always stored and only shown when asked for: the newest few, in the cache."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from foretell._version import __version__
from foretell.paths import cache_dir
from foretell.redact import is_secret_name, redact_text

KEPT = 20


def store_report(error: BaseException, arguments: Sequence[str]) -> Path | None:
    """Write what is known of ``error`` into the cache; None where that is not possible."""
    folder = cache_dir() / "reports"
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(_report(error, arguments), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    _forget_old(folder)
    return path


def traceback_text(error: BaseException) -> str:
    """The traceback without local variables, secrets hidden."""
    return redact_text("".join(traceback.format_exception(error)))


def safe_arguments(arguments: Sequence[str]) -> list[str]:
    """The command line without secrets: values of secret settings, URL user-info, signatures."""
    safe = []
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = equals and is_secret_name(name.rpartition(".")[2])
        safe.append(f"{name}=***" if secret else redact_text(argument))
    return safe


def _report(error: BaseException, arguments: Sequence[str]) -> str:
    lines = [
        f"foretell {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"command: sdk {' '.join(safe_arguments(arguments))}",
        f"folder: {_folder()}",
        f"executable: {sys.executable}",
        "",
        traceback_text(error),
    ]
    return "\n".join(lines)


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "gone"


def _forget_old(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob("*.txt"))[:-KEPT]:
            path.unlink(missing_ok=True)
