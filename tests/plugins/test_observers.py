import pytest
from foretell.events import ChunkFailed, ChunkFinished, RunFinished, RunPlanned, RunStarted
from foretell.hookspecs import hookimpl
from foretell.plugins import Broken, load_plugins
from foretell.plugins.observers import HOOKS

EVENTS = {
    "run_planned": RunPlanned("r", 1.0, rows=10, chunks=2, resumed=0),
    "run_started": RunStarted("r", 2.0, epoch=1, workers=("tcp://a",)),
    "chunk_finished": ChunkFinished("r", 3.0, 0, 5, 0, 1, 0.1, 20, "tcp://a"),
    "chunk_failed": ChunkFailed("r", 4.0, 1, 1, "ValueError", "bad", "tcp://a", True),
    "run_finished": RunFinished("r", 5.0, "partial", 3, 5, 5, 4.0),
}


class Scribe:
    def __init__(self):
        self.seen = []

    @hookimpl
    def run_planned(self, event):
        self.seen.append(event)

    @hookimpl
    def run_started(self, event):
        self.seen.append(event)

    @hookimpl
    def chunk_finished(self, event):
        self.seen.append(event)

    @hookimpl
    def chunk_failed(self, event):
        self.seen.append(event)

    @hookimpl
    def run_finished(self, event):
        self.seen.append(event)


class Clumsy(Scribe):
    """Raises on one hook, and must not be called again afterwards."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    @hookimpl
    def run_started(self, event):
        raise self.error


def tell(*observers):
    plugins = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"}, extra=observers)
    reports: list[Broken] = []
    told = plugins.observers(reports.append)
    for name in HOOKS:
        getattr(told, name)(EVENTS[name])
    return told, reports


def test_every_event_reaches_every_observer_in_order():
    first, second = Scribe(), Scribe()
    told, reports = tell(("first", first), ("second", second))
    assert told
    assert first.seen == second.seen == list(EVENTS.values())
    assert reports == []


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), AssertionError()])
def test_one_that_raises_is_reported_once_and_switched_off(error):
    clumsy, other = Clumsy(error), Scribe()
    _, reports = tell(("clumsy", clumsy), ("other", other))
    assert clumsy.seen == [EVENTS["run_planned"]]
    assert other.seen == list(EVENTS.values())
    [report] = reports
    assert report.origin.name == "clumsy"
    assert report.reason.startswith(f"run_started raised {type(error).__name__}")
    assert report.reason.endswith("the observer is switched off")
    assert "test_observers.py" in report.traceback


def test_ctrl_c_in_an_observer_is_ctrl_c():
    with pytest.raises(KeyboardInterrupt):
        tell(("clumsy", Clumsy(KeyboardInterrupt())))


def test_without_observers_there_is_nobody_to_tell():
    told, _ = tell()
    assert not told
