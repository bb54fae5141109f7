"""Secrets, and how they are kept out of everything that is stored or shown.

A secret is known by the name of its setting (``password``, ``hf_token``), by being the value of an
environment variable of such a name, or by its place in a URL (user-info, signature).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
"""What stands where a secret was."""

_WORDS = frozenset({"password", "passwd", "passphrase", "secret", "secrets", "credential"})
_WORDS_MANY = frozenset({"credentials", "apikey", "authorization"})
# A token is a secret only with a name that says of what: a model's `pad_token` is not one.
_TOKENS = frozenset(
    {"", "access", "api", "auth", "bearer", "hf", "id", "key", "login", "refresh", "security"}
    | {"session", "hub", "github", "gitlab", "pat", "sas", "wandb"}
)
_KEYS = frozenset({"access", "account", "api", "encryption", "private", "secret", "signing", "sas"})
_SIGNED = (
    "x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|x-goog-credential"
    "|awsaccesskeyid|signature|sig|token|access_token|key|password|secret"
)
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")
_SIGNATURE = re.compile(rf"([?&;](?:{_SIGNED})=)[^&;\s\"']+", re.IGNORECASE)
_SHORTEST = 6


def is_secret_name(name: str) -> bool:
    """Whether a setting or variable of this name holds a secret."""
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    if any(word in _WORDS or word in _WORDS_MANY for word in words):
        return True
    before = words[-2] if len(words) > 1 else ""
    return (words[-1] == "token" and before in _TOKENS) or (words[-1] == "key" and before in _KEYS)


def redact_url(text: str) -> str:
    """``text`` with the user-info and the signatures of every URL in it hidden."""
    if "://" not in text:
        return text
    return _SIGNATURE.sub(rf"\g<1>{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", text))


def redact_text(text: str, env: Mapping[str, str] | None = None) -> str:
    """``text`` with URL secrets and the values of secret environment variables hidden."""
    text = redact_url(text)
    for name, value in (os.environ if env is None else env).items():
        if len(value) >= _SHORTEST and value in text and is_secret_name(name):
            text = text.replace(value, HIDDEN)
    return text


def redact(value: Any, name: str = "", env: Mapping[str, str] | None = None) -> Any:
    """Plain data with every secret in it hidden, mappings and lists walked.

    Args:
        value: Anything made of mappings, lists and scalars.
        name: Name of the setting that holds ``value``.
        env: Environment whose secret variables' values are hidden; this process's by default.
    """
    if isinstance(value, Mapping):
        return {str(key): redact(item, str(key), env) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item, name, env) for item in value]
    if value is not None and not isinstance(value, bool) and is_secret_name(name):
        return HIDDEN
    return redact_text(value, env) if isinstance(value, str) else value
