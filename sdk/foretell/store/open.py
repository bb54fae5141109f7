"""Opens the objects of a run store, wherever they are."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from foretell.errors import ConfigError
from foretell.store.objects import Lease, ObjectStore

SCHEMES = ("file", "s3")
"""URL schemes a run store may have; anything else is refused."""


def open_objects(
    url: str, *, lease: Lease | None = None, label: str = "", power: bool = False
) -> ObjectStore:
    """The objects below ``url``. Touches nothing yet.

    Args:
        url: A local path, ``file:///…`` or ``s3://bucket/prefix``.
        lease: Checked before every leased put.
        label: Names this writer's staged files; unique among the writers of a run.
        power: Whether what is written must survive a power cut.

    Raises:
        ConfigError: another scheme, a chained URL, or a URL with user name, query or fragment.
    """
    _install_faults()
    if "://" not in url:
        return _local(url, lease, label, power, url)
    scheme, rest = url.split("://", 1)
    if scheme not in SCHEMES or "://" in rest or "::" in url:
        raise _refused(url, f"a local path, {' or '.join(name + '://' for name in SCHEMES)}")
    split = urlsplit(url)
    if split.query or split.fragment or "@" in split.netloc:
        raise _refused(url, "no user name, query or fragment (credentials: AWS_* variables)")
    if scheme == "file":
        if split.netloc not in ("", "localhost"):
            raise _refused(url, "file:///path, without a host")
        return _local(unquote(split.path), lease, label, power, url)
    from foretell.store.remote import RemoteObjects

    return RemoteObjects(url, lease=lease, label=label)


def _local(path: str, lease: Lease | None, label: str, power: bool, url: str) -> ObjectStore:
    from foretell.store.local import LocalObjects

    return LocalObjects(path, lease=lease, label=label, power=power, url=url)


def _install_faults() -> None:
    if "FORETELL_TESTING_FAULT" in os.environ or "FORETELL_TESTING_TRACE" in os.environ:
        from foretell.testing.faults import install_from_environment

        install_from_environment()


def _refused(url: str, allowed: str) -> ConfigError:
    return ConfigError(
        "this place cannot hold a run store",
        facts=[("place", hidden(url)), ("allowed", allowed)],
        slug="store-scheme",
    )


def hidden(url: str) -> str:
    """``url`` without what may be secret in it: user name, password, query, fragment.

    Stricter than :func:`foretell.redact.redact_url`: such a URL is refused, so nothing of its query
    is worth showing.
    """
    if "://" not in url:
        return url
    scheme, rest = url.split("://", 1)
    rest = rest.split("#", 1)[0].split("?", 1)[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
