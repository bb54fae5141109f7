"""``[tool.foretell.tui]`` of the nearest ``pyproject.toml``: keys of one's own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from foretell.errors import ConfigError

from foretell_tui.keys import ACTIONS, Action, bound


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user changed.

    Attributes:
        actions: The keys.
    """

    actions: tuple[Action, ...] = ACTIONS


def read_settings(folder: Path | None = None) -> Settings:
    """The settings that hold in a folder, the current one by default.

    Raises:
        ConfigError: not TOML, an unknown action, or a key that would do two things.
    """
    start = (folder or Path.cwd()).absolute()
    for place in (start, *start.parents):
        path = place / "pyproject.toml"
        if path.is_file():
            return _settings(path)
    return Settings()


def _settings(path: Path) -> Settings:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            "the file cannot be read",
            facts=[("file", str(path)), ("reason", str(error))],
            slug="config-file",
        ) from None
    keys = table.get("tool", {}).get("foretell", {}).get("tui", {}).get("keys", {})
    return Settings(bound(keys))
