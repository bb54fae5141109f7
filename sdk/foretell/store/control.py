"""Requests to a live driver: small objects it reads at every flush."""

from __future__ import annotations

import time

from foretell.store.identity import this_process
from foretell.store.layout import CONTROL, control_key
from foretell.store.objects import ObjectStore
from foretell.store.sealed import dumps

CANCEL = "cancel"
"""Drain, then end as cancelled."""


def request(objects: ObjectStore, name: str, reason: str = "") -> bool:
    """Ask the driver for something; False when somebody already has."""
    me = this_process()
    document = {"request": name, "time": time.time(), "host": me.host, "pid": me.pid}
    return objects.create(control_key(name), dumps(document | {"reason": reason}).encode() + b"\n")


def pending(objects: ObjectStore) -> list[str]:
    """Names of the requests nobody has cleared, sorted."""
    keys = objects.list(CONTROL + "/")
    return sorted(
        key.removeprefix(CONTROL + "/").removesuffix(".json")
        for key in keys
        if key.endswith(".json")
    )


def requested(objects: ObjectStore, name: str) -> bool:
    """Whether a request is there; one small look-up, for the driver's own loop."""
    try:
        objects.version(control_key(name))
    except FileNotFoundError:
        return False
    return True


def clear(objects: ObjectStore) -> None:
    """Forget all requests: they were meant for an earlier session, or have been met."""
    for name in pending(objects):
        objects.delete(control_key(name))
