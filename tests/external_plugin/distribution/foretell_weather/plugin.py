"""What this distribution adds to Foretell. Importing it must stay light."""

from __future__ import annotations

import os
from pathlib import Path

from foretell import Entry, hookimpl
from foretell.events import (
    ChunkFailed,
    ChunkFinished,
    Event,
    RunFinished,
    RunPlanned,
    RunStarted,
)

EVENTS = "FORETELL_WEATHER_EVENTS"
"""Environment variable: a file that every event is appended to, one JSON document a line."""


@hookimpl
def register_sources() -> list[Entry]:
    target = "foretell_weather.source:ObservationSource"
    return [Entry("observations", "Weather observations, one a line", target)]


@hookimpl
def register_predictors() -> list[Entry]:
    target = "foretell_weather.predictor:ClimatePredictor"
    return [Entry("climate", "Dew point, pressure at sea level and comfort", target)]


@hookimpl
def register_deployers() -> list[Entry]:
    target = "foretell_weather.deployer:ClimateDeployer"
    return [Entry("climate", "Runs climate models in a pool of threads", target)]


@hookimpl
def register_writers() -> list[Entry]:
    target = "foretell_weather.writer:NpyFolderWriter"
    return [Entry("npyfolder", "One .npy file per chunk and output", target)]


@hookimpl
def register_commands() -> list[Entry]:
    target = "foretell_weather.command:weather"
    return [Entry("weather", "Describe a file of observations", target)]


@hookimpl
def run_planned(event: RunPlanned) -> None:
    _append(event)


@hookimpl
def run_started(event: RunStarted) -> None:
    _append(event)


@hookimpl
def chunk_finished(event: ChunkFinished) -> None:
    _append(event)


@hookimpl
def chunk_failed(event: ChunkFailed) -> None:
    _append(event)


@hookimpl
def run_finished(event: RunFinished) -> None:
    _append(event)


def _append(event: Event) -> None:
    if EVENTS in os.environ:
        with Path(os.environ[EVENTS]).open("a", encoding="utf-8") as file:
            file.write(event.to_json() + "\n")
