"""What commands share when they look at runs: plugins, stores, snapshots."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from foretell.errors import UsageError

if TYPE_CHECKING:
    from foretell.abc import Writer
    from foretell.plugins.manager import Plugins
    from foretell.store.objects import ObjectStore
    from foretell.store.snapshot import Snapshot
    from foretell.store.status import Watch

LAST = "@last"


@cache
def _plugins(disabled: str) -> Plugins:
    from foretell.plugins.manager import load_plugins

    return load_plugins()


def plugins() -> Plugins:
    """The plugins of this process, found once."""
    return _plugins(os.environ.get("FORETELL_DISABLE_PLUGINS", ""))


def locate(run: str) -> str:
    """The path or URL that ``RUN`` means.

    Raises:
        UsageError: ``@last`` and there is no last run.
    """
    if run != LAST:
        return run
    from foretell.store.recent import recent_runs

    runs = recent_runs()
    if not runs:
        raise UsageError(
            "there is no last run",
            facts=[("@last", "means the run started last by this user on this machine")],
            tries=[("sdk runs", "lists the runs below this folder")],
        )
    return runs[0]


def open_store(run: str) -> ObjectStore:
    """The objects of the store that ``RUN`` means. Touches nothing yet."""
    from foretell.store.open import open_objects

    return open_objects(locate(run))


def open_snapshot_of(run: str) -> tuple[ObjectStore, Snapshot]:
    """The store that ``RUN`` means and its state as of now.

    Raises:
        NotARun: there is no run.
        StoreError: its manifest or ledger is damaged.
    """
    from foretell.store.snapshot import open_snapshot

    objects = open_store(run)
    return objects, open_snapshot(objects)


def watch(objects: ObjectStore) -> Watch:
    """Reads and judges the head of a run."""
    from foretell.store.head import read_head
    from foretell.store.status import Watch

    return Watch(lambda: read_head(objects))


def writer_of(snapshot: Snapshot) -> Writer:
    """The writer that wrote the outputs of a run, opened for reading."""
    return plugins().writer_of(snapshot)
