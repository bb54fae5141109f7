"""Requests to a live driver: small objects it reads at every flush."""

from __future__ import annotations

import time

from foretell.errors import StorageError
from foretell.store.identity import this_process
from foretell.store.layout import CONTROL, control_epoch, control_key, control_prefix
from foretell.store.objects import ObjectStore
from foretell.store.sealed import dumps

CANCEL = "cancel"
"""Drain, then end as cancelled."""


def request(objects: ObjectStore, name: str, epoch: int, reason: str = "") -> bool:
    """Ask the driver of one session for something; False when somebody already has.

    Args:
        objects: The run store.
        name: What is asked for, e.g. :data:`CANCEL`.
        epoch: The session meant, from its head: the next one is not bothered.
        reason: One line for people.
    """
    me = this_process()
    document = {"request": name, "time": time.time(), "host": me.host, "pid": me.pid}
    data = dumps(document | {"reason": reason}).encode() + b"\n"
    return objects.create(control_key(name, epoch), data)


def pending(objects: ObjectStore, epoch: int) -> list[str]:
    """Names of what was asked of the session ``epoch``, sorted."""
    start = control_prefix(epoch)
    return sorted(key.removeprefix(start).removesuffix(".json") for key in objects.list(start))


def requested(objects: ObjectStore, name: str, epoch: int) -> bool:
    """Whether ``name`` was asked of session ``epoch``: one look-up, no listing."""
    try:
        objects.version(control_key(name, epoch))
    except FileNotFoundError:
        return False
    return True


def cancelled(objects: ObjectStore, epoch: int) -> bool:
    """Whether the session ``epoch`` is to end; storage that gave out is asked again later.

    Raises:
        StorageError: the store is gone.
    """
    try:
        return requested(objects, CANCEL, epoch)
    except StorageError as error:
        if error.slug == "store-vanished":
            raise
        return False


def clear(objects: ObjectStore, epoch: int) -> None:
    """Remove what was asked of sessions before ``epoch``."""
    for key in list(objects.list(CONTROL + "/")):
        asked = control_epoch(key)
        if asked is not None and asked < epoch:
            objects.delete(key)
