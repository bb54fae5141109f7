"""Builds the S3 clients of a run store, and says what their errors mean.

Credentials come from the environment or the AWS configuration files, never from a URL, a job file
or a store.
"""

from __future__ import annotations

import configparser
import ipaddress
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from foretell.errors import ConfigError, ForetellError, LoadError, StorageError, StoreError
from foretell.store.leases import PUT_DEADLINE

if TYPE_CHECKING:
    from obstore.store import S3Store

READ_TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0


def build(bucket: str, prefix: str, *, writing: bool, retries: int = 0) -> S3Store:
    """A client for one prefix of a bucket. For a run store it tries nothing twice: we do.

    Args:
        bucket: Name of the bucket.
        prefix: Prefix of all keys, without slashes at its ends; may be empty.
        writing: Whether it is for puts, whose requests end before a lease can.
        retries: How often it repeats a failed request by itself, for reading input.

    Raises:
        ConfigError: the endpoint would take credentials unencrypted to another machine.
        LoadError: obstore is not installed.
    """
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise LoadError(
            "stores on s3:// need obstore",
            facts=[("missing", str(error))],
            tries=[("pip install 'foretell[s3]'", "")],
            slug="extra-missing",
        ) from error
    timeout = PUT_DEADLINE if writing else READ_TIMEOUT
    options: dict[str, Any] = {
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
    }
    config = aws_settings(os.environ)
    if _plain_http_allowed(config.get("endpoint", "")):
        options["allow_http"] = True
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options=options,  # type: ignore[arg-type]
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=timeout)},
    )


def aws_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Endpoint, and credentials where the environment itself has none, of the chosen profile."""
    profile = _profile(environ)
    settings: dict[str, str] = {}
    if "AWS_ACCESS_KEY_ID" not in environ and "aws_access_key_id" in profile:
        settings["access_key_id"] = profile["aws_access_key_id"]
        settings["secret_access_key"] = profile.get("aws_secret_access_key", "")
        if "aws_session_token" in profile:
            settings["session_token"] = profile["aws_session_token"]
    if not environ.get("AWS_REGION") and not environ.get("AWS_DEFAULT_REGION"):
        settings |= {"region": profile["region"]} if "region" in profile else {}
    endpoint = (
        environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or profile.get("endpoint_url", "")
    )
    return settings | ({"endpoint": endpoint} if endpoint else {})


def missing(error: BaseException) -> bool:
    """Whether the storage itself says that there is no such object.

    A bare 404, of a proxy that lost its mind, is not such an answer.
    """
    return isinstance(error, FileNotFoundError) and "NoSuchKey" in str(error)


def explain(error: BaseException, url: str, what: str, key: str) -> ForetellError:
    """Our error for what obstore raised while ``what`` was done to ``key``."""
    text = str(error)
    first = text.split("\n", 1)[0].split("<?xml", 1)[0].strip() or type(error).__name__
    facts = [("store", url), (what, key), ("storage", first)]
    name = type(error).__name__
    if "NoSuchBucket" in text:
        return StorageError("the bucket does not exist", facts=facts, slug="store-vanished")
    if name in ("PermissionDeniedError", "UnauthenticatedError"):
        return StoreError(
            "the object store refuses access",
            facts=facts,
            tries=[("AWS_PROFILE, AWS_ACCESS_KEY_ID …", "credentials that may use the bucket")],
            slug="store-denied",
        )
    return StorageError("the object store failed", facts=facts, slug="storage")


def _profile(environ: Mapping[str, str]) -> dict[str, str]:
    name = environ.get("AWS_PROFILE", "default")
    home = Path(environ.get("HOME", "/nonexistent")) / ".aws"
    found: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(environ.get(variable, home / file), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise ConfigError(
                "the AWS configuration cannot be read", facts=[("why", str(error))]
            ) from None
        if parser.has_section(section):
            found |= dict(parser.items(section))
    return found


def _plain_http_allowed(endpoint: str) -> bool:
    if not endpoint.startswith("http://"):
        return False
    host = urlsplit(endpoint).hostname or ""
    if _is_loopback(host) or os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true":
        return True
    raise ConfigError(
        "the S3 endpoint is not encrypted",
        facts=[("endpoint", f"http://{host} (AWS_ENDPOINT_URL)")],
        tries=[("https://…", ""), ("AWS_ALLOW_HTTP=true", "when the network is yours")],
        slug="store-endpoint",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
