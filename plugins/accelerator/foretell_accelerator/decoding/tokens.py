"""Text to tokens and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from foretell.errors import ConfigError, LoadError
from foretell.imports import load_object

from foretell_accelerator.targets.base import framework

BYTES = "bytes"


class Tokenizer(Protocol):
    """What generation needs of a tokenizer. An own one may leave the two ids out (None)."""

    start: int | None
    """Token that begins an empty prompt."""

    end: int | None
    """Token that ends a text."""

    def encode(self, text: str) -> list[int]:
        """Tokens of a text."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; tokens that are no text (the end of text) are left out."""
        ...


class ByteTokenizer:
    """One token for each byte of UTF-8, and 256 for the start and end of a text."""

    start: int | None = 256
    end: int | None = 256

    def encode(self, text: str) -> list[int]:
        """The bytes."""
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        """Bytes that are no UTF-8 become U+FFFD."""
        return bytes(token for token in tokens if token < 256).decode(errors="replace")


class PretrainedTokenizer:
    """A tokenizer of transformers.

    Args:
        folder: A folder with its files, or a name on a hub.
        download: Whether a name on a hub may be downloaded.
        cache_dir: Where such are kept.
    """

    def __init__(
        self, folder: str, *, download: bool = False, cache_dir: str | None = None
    ) -> None:
        transformers = framework("transformers")
        try:
            self.inner = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=not download, cache_dir=cache_dir
            )
        except Exception as error:
            raise LoadError(
                "the tokenizer cannot be loaded",
                facts=[("from", folder), ("cause", f"{type(error).__name__}: {error}"[:300])],
                tries=[('tokenizer = "bytes"', "for a decoder of bytes")],
                slug="load-tokenizer",
            ) from error
        self.end: int | None = self.inner.eos_token_id
        bos = self.inner.bos_token_id
        self.start: int | None = self.end if bos is None else bos

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, as the model's authors make them."""
        found: list[int] = self.inner(text)["input_ids"]
        return list(found)

    def decode(self, tokens: Sequence[int]) -> str:
        """Special tokens are left out."""
        return str(self.inner.decode(list(tokens), skip_special_tokens=True))

    def save(self, folder: Path) -> None:
        """Put its files into a folder."""
        self.inner.save_pretrained(folder)


def make_tokenizer(
    setting: str, base_dir: Path, *, download: bool = False, cache_dir: str | None = None
) -> Tokenizer:
    """The tokenizer a setting names: ``bytes``, a folder, or an import string of one's own.

    Raises:
        LoadError: it cannot be loaded.
    """
    if setting == BYTES:
        return ByteTokenizer()
    place = base_dir / Path(setting).expanduser()
    if place.is_dir() or ":" not in setting:
        folder = str(place.resolve()) if place.is_dir() else setting
        return PretrainedTokenizer(folder, download=download, cache_dir=cache_dir)
    found: Any = load_object(setting, base_dir)
    made = found() if isinstance(found, type) else found
    for name in ("encode", "decode"):
        if not callable(getattr(made, name, None)):
            raise LoadError(f"{setting} has no {name}()", facts=[("got", type(made).__name__)])
    tokenizer: Tokenizer = made
    return tokenizer


def stop_ids(wanted: Sequence[int | str] | None, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The numbers of the tokens that end a text.

    Raises:
        ConfigError: a text is not one token.
    """
    if wanted is None:
        end = getattr(tokenizer, "end", None)
        return () if end is None else (int(end),)
    found = []
    for token in wanted:
        if isinstance(token, str):
            ids = tokenizer.encode(token)
            if len(ids) != 1:
                raise ConfigError(
                    "a stop token is not one token",
                    facts=[("predictor.stop_tokens", repr(token)), ("tokens", str(ids))],
                    slug="config-stop",
                )
            found.append(ids[0])
        else:
            found.append(token)
    return tuple(found)
