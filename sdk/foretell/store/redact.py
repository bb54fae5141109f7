"""Keeps secrets out of everything that is stored or shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

HIDDEN = "***"

_WORDS = frozenset(
    (
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "secrets",
        "token",
        "apikey",
        "auth",
        "credential",
        "credentials",
        "authorization",
        "cookie",
        "bearer",
        "signature",
    )
)
_KEYS_OF = frozenset(
    (
        "api",
        "access",
        "secret",
        "private",
        "account",
        "auth",
        "encryption",
        "signing",
        "session",
        "ssh",
        "client",
        "shared",
        "master",
        "aws",
        "sas",
    )
)
# A bare "key" is usually the name of a column; only what looks like a secret is one.
_LOOKS_SECRET = re.compile(r"[A-Za-z0-9+/=_\-]{20,}\Z")
_USER_INFO = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.\-]*://)[^/\s@'\"]+@")
_PARAMETER = re.compile(r"([?&;])([A-Za-z0-9_.\-]+)=([^&\s#'\"]+)")
_ASSIGNED = re.compile(r"(?P<name>[A-Za-z0-9_.\-]+)(?P<sign>\s*[=:]\s*)(?P<value>[^\s,;&'\"]+)")
_SIGNED = frozenset({"sig", "x-amz-credential", "x-amz-signature", "x-amz-security-token"})
_MIN_VALUE = 8
"""Values of variables shorter than this are left alone: they would match by accident."""


def is_secret_name(name: str, value: str | None = None) -> bool:
    """Whether a setting or variable of that name holds a secret.

    >>> is_secret_name("aws_secret_access_key"), is_secret_name("max_tokens")
    (True, False)
    """
    words = [word for word in re.split(r"[^a-z0-9]+", _snake(name)) if word]
    if _WORDS & set(words):
        return True
    for before, word in zip(["", *words], words, strict=False):
        if word == "key" and (before in _KEYS_OF):
            return True
    return words == ["key"] and value is not None and bool(_LOOKS_SECRET.match(value))


def redact(value: Any) -> Any:
    """A copy of plain JSON with every secret replaced by ``***``."""
    if isinstance(value, Mapping):
        return {name: _redact_item(str(name), item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Text without secrets: values of secret variables, URL user-info and signatures, ``k=v``."""
    for secret in _secret_values(tuple(environ.items())):
        text = text.replace(secret, HIDDEN)
    text = _USER_INFO.sub(rf"\1{HIDDEN}@", text)
    text = _PARAMETER.sub(_redact_parameter, text)
    return _ASSIGNED.sub(_redact_assigned, text)


def _redact_item(name: str, item: Any) -> Any:
    if isinstance(item, str) and item and is_secret_name(name, item):
        return HIDDEN
    return redact(item)


def _redact_parameter(match: re.Match[str]) -> str:
    sign, name, value = match.groups()
    secret = name.lower() in _SIGNED or is_secret_name(name, value)
    return f"{sign}{name}={HIDDEN if secret else value}"


def _redact_assigned(match: re.Match[str]) -> str:
    name, sign, value = match["name"], match["sign"], match["value"]
    if value == HIDDEN or not is_secret_name(name, value):
        return match[0]
    return f"{name}{sign}{HIDDEN}"


def _snake(name: str) -> str:
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


@lru_cache(maxsize=4)
def _secret_values(items: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    found = {
        value for name, value in items if len(value) >= _MIN_VALUE and is_secret_name(name, value)
    }
    return tuple(sorted(found, key=len, reverse=True))
