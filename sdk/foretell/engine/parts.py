"""Build the four parts of a run from plain options: the same way in the driver and in workers."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from foretell.abc import Deployer, Options, Predictor, Source, Writer
from foretell.plugins.manager import Plugins, load_plugins
from foretell.store.objects import ObjectStore

LIVE: dict[str, Mapping[str, Any]] = {}
"""Live objects of runs inside this process, by run: ``{"model": …, "source": …}``.

Dask pickles every task even in process, so tasks name a run and the objects wait here.
"""


@cache
def _plugins(disabled: str) -> Plugins:
    return load_plugins({**os.environ, "FORETELL_DISABLE_PLUGINS": disabled} if disabled else None)


def plugins() -> Plugins:
    """The plugins of this process, loaded once."""
    return _plugins(os.environ.get("FORETELL_DISABLE_PLUGINS", ""))


def live_objects(run: str, pickled: bytes | None) -> Mapping[str, Any]:
    """The live objects of a run: waiting in this process, or sent along; empty for most runs."""
    if run in LIVE:
        return LIVE[run]
    if pickled is None:
        return {}
    LIVE[run] = pickle.loads(pickled)  # made by this run's own driver, never read from a store
    return LIVE[run]


def _options(cls: Any, data: Mapping[str, Any], base_dir: str) -> Any:
    options: Options = cls.Options(**data)
    return options.at(base_dir)


def build_source(data: Mapping[str, Any], base_dir: str, live: Mapping[str, Any]) -> Source:
    """The source of a job, from live data where it was started with some."""
    cls = plugins().source(data["kind"])
    options = _options(cls, data, base_dir)
    if "source" in live:
        return cls.from_live(options, live["source"])
    return cls.from_options(options)


def build_predictor(data: Mapping[str, Any], base_dir: str, live: Mapping[str, Any]) -> Predictor:
    """The predictor of a job, around a live model where it was started with one."""
    cls = plugins().predictor(data["kind"])
    options = _options(cls, data, base_dir)
    around = {name: live[name] for name in ("model", "collate", "postprocess") if name in live}
    if around:
        return cls.from_live(options, **around)
    return cls.from_options(options)


def build_deployer(data: Mapping[str, Any], base_dir: str) -> Deployer:
    """The deployer of a job."""
    cls = plugins().deployer(data["kind"])
    return cls.from_options(_options(cls, data, base_dir))


def build_writer(data: Mapping[str, Any], base_dir: str, objects: ObjectStore) -> Writer:
    """The writer of a job, confined to its run store."""
    cls = plugins().writer(data["kind"])
    return cls(_options(cls, data, base_dir), objects)


def warm_up(writer: Writer) -> None:
    """Let a writer import what it will need, beside whatever this thread does or waits for."""

    def warm() -> None:
        with suppress(Exception):  # whoever needs it meets the same error, and can say so
            writer.warm()

    threading.Thread(target=warm, name="warm-up", daemon=True).start()
