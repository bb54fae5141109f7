"""Frameworks that may not be installed: imported where they are needed, recognised without it."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from typing import Any

from foretell.errors import LoadError


def framework(module: str, extra: str, *, purpose: str = "", install: str = "") -> Any:
    """Import a framework.

    Args:
        module: Name of the module, ``lightning.pytorch``.
        extra: Extra of this distribution that brings it.
        purpose: What it is needed for, for the error.
        install: Command that brings it, where no extra does.

    Raises:
        LoadError: it is not installed; with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LoadError(
            f"{module.partition('.')[0]} cannot be imported",
            facts=[*([("needed for", purpose)] if purpose else []), ("cause", str(error))],
            tries=[(install or f"pip install 'foretell[{extra}]'", "brings it")],
            slug="load-framework",
        ) from error


def version(distribution: str) -> str:
    """Version of an installed distribution, found without importing it; "" when there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def is_instance(value: object, module: str, name: str) -> bool:
    """Whether a live object is of a class of a framework. Imports nothing.

    Args:
        value: Any object, a class is none of itself.
        module: Where the class is: nothing can be of it while this is not imported.
        name: Of the class.
    """
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)
