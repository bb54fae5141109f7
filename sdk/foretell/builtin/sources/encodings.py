"""Which text encodings files of lines may have."""

from __future__ import annotations

from foretell.errors import ConfigError
from foretell.text import visible


def check_encoding(name: str) -> None:
    """Refuse an encoding in which a line end is not the one byte every scanner looks for.

    Raises:
        ConfigError: unknown, not an encoding of text, or of the UTF-16 and UTF-32 families.
    """
    facts = [("setting", f'source.encoding = "{visible(name)}"')]
    try:
        plain = 'a\n,"'.encode(name) == b'a\n,"'
    except (LookupError, UnicodeError):
        raise ConfigError("unknown text encoding", facts=facts, tries=[("utf-8", "")]) from None
    if not plain:
        raise ConfigError(
            "lines cannot be found in this text encoding",
            facts=facts,
            tries=[(f"iconv -f {visible(name)} -t UTF-8", "and use the converted file")],
        )
