"""The judgement on a heartbeat: beating, stale, lost."""

import pytest
from foretell.store import status
from foretell.store.head import Head, Totals
from foretell.store.identity import this_process
from foretell.store.status import Pulse, Watch, driver_alive, judge, observe
from foretell.types import RunState
from hypothesis import given
from hypothesis import strategies as st


def head(sequence=1, state="running", interval=1.0, time=1000.0, **changes):
    values = {"host": "elsewhere", "boot_id": "b", "pid": 7, "pid_started": 1.0, **changes}
    return Head(
        state=state, sequence=sequence, interval=interval, time=time, epoch=1,
        session_started=0.0, totals=Totals(), **values,
    )  # fmt: skip


def judged(quiet, *, alive=None, **changes):
    known = head(**changes)
    beat = observe(None, known, monotonic=0.0, wall=known.time)
    return judge(known, beat, monotonic=quiet, alive=alive)


@pytest.mark.parametrize(
    ("quiet", "interval", "pulse"),
    [
        (0, 1, Pulse.BEATING),
        (3, 1, Pulse.BEATING),
        (4, 1, Pulse.QUIET),
        (30, 1, Pulse.QUIET),
        (31, 1, Pulse.STALE),
        (600, 1, Pulse.STALE),
        (601, 1, Pulse.LOST),
        (15, 5, Pulse.BEATING),
        (59, 20, Pulse.BEATING),
        (61, 20, Pulse.STALE),
        (700, 100, Pulse.STALE),
        (1001, 100, Pulse.LOST),
    ],
)
def test_the_table_of_the_design(quiet, interval, pulse):
    assert judged(quiet, interval=interval).pulse is pulse


def test_a_driver_that_is_gone_is_lost_at_once():
    verdict = judged(0, alive=False)
    assert (verdict.pulse, verdict.live) == (Pulse.LOST, False)
    assert verdict.text == "the driver (pid 7) is gone"
    assert judged(31, alive=True).pulse is Pulse.STALE


@pytest.mark.parametrize("state", [state for state in RunState if state.ended])
def test_a_run_that_ended_needs_no_heartbeat(state):
    verdict = judged(10**6, state=state.value, alive=False)
    assert (verdict.pulse, verdict.live) == (Pulse.ENDED, False)


def test_a_state_of_a_newer_release_counts_as_running():
    assert judged(0, state="meditating").state is RunState.RUNNING


@given(st.floats(-1e6, 1e6), st.floats(0, 1e4))
def test_only_the_first_read_trusts_the_drivers_clock(skew, quiet):
    known = head(time=1000.0 + skew)
    first = observe(None, known, monotonic=50.0, wall=1000.0)
    assert first.age == pytest.approx(max(0.0, -skew), abs=1e-6)
    moved = observe(first, head(sequence=2, time=1000.0 + skew), monotonic=60.0, wall=1010.0)
    assert (moved.seen, moved.age) == (60.0, 0.0)
    same = observe(moved, head(sequence=2), monotonic=70.0, wall=1020.0)
    assert same == moved
    assert judge(known, moved, monotonic=60.0 + quiet, alive=None).quiet == pytest.approx(quiet)


class Scene:
    """A run seen through fake clocks: time passes only in ``sleep``."""

    def __init__(self, beats, skew=0.0):
        self.now = 0.0
        self.beats = beats
        self.skew = skew
        self.torn = False

    def read(self):
        if self.torn:
            return None
        sequence = sum(1 for at in self.beats if at <= self.now)
        last = max((at for at in self.beats if at <= self.now), default=0.0)
        return head(sequence=sequence, time=last + self.skew) if sequence else None

    def sleep(self, seconds):
        self.now += seconds

    def watch(self, alive=None):
        return Watch(
            self.read,
            monotonic=lambda: self.now,
            wall=lambda: self.now,
            alive=lambda _head: alive,
        )


def test_one_look_at_a_live_run_does_not_hang_on_two_clocks_agreeing():
    scene = Scene(beats=range(100), skew=-5000.0)
    assert scene.watch().look().pulse is Pulse.LOST
    verdict = scene.watch().settle(scene.sleep)
    assert verdict.pulse is Pulse.BEATING
    assert scene.now <= 3.0


def test_a_dead_run_is_found_dead_in_three_intervals():
    scene = Scene(beats=[0.0], skew=-5000.0)
    assert scene.watch().settle(scene.sleep).pulse is Pulse.LOST
    assert scene.now == pytest.approx(3.0)


def test_a_driver_that_is_gone_needs_no_waiting():
    scene = Scene(beats=[0.0], skew=-50.0)
    assert scene.watch(alive=False).settle(scene.sleep).pulse is Pulse.LOST
    assert scene.now == 0.0


def test_a_torn_read_changes_nothing_and_no_head_is_no_judgement():
    scene = Scene(beats=[0.0])
    watch = scene.watch()
    assert watch.look().pulse is Pulse.BEATING
    scene.torn, scene.now = True, 40.0
    assert watch.look().pulse is Pulse.STALE
    assert scene.watch().look() is None
    assert scene.watch().settle(scene.sleep) is None


def test_the_driver_on_this_host(monkeypatch):
    me = this_process()
    mine = {"host": me.host, "boot_id": me.boot_id, "pid": me.pid, "pid_started": me.pid_started}
    assert driver_alive(head(**mine)) is True
    assert driver_alive(head(**{**mine, "pid_started": me.pid_started + 5})) is False
    assert driver_alive(head(**{**mine, "pid": 2**22 - 1})) is False
    assert driver_alive(head(**{**mine, "host": "another"})) is None
    assert status.driver_alive(head(**{**mine, "boot_id": "other-boot/1"})) is False
