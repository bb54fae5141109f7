"""Whether a run that says it is running really is: the viewer's judgement on its heartbeat.

A head alone cannot tell, for a killed driver leaves one that says "running". So a viewer notes, on
its own monotonic clock, when the heartbeat last moved. The driver's clock enters only as a first
guess, before the viewer has seen one beat itself.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass

from foretell.store.head import Head
from foretell.store.identity import boot_id, host_name, is_alive, same_boot
from foretell.text import duration
from foretell.types import RunState

STALE_SECONDS = 30.0
LOST_SECONDS = 600.0


class Pulse(enum.StrEnum):
    """What a viewer makes of a heartbeat."""

    BEATING = "beating"
    QUIET = "quiet"
    STALE = "stale"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Beat:
    """The newest heartbeat a viewer knows of.

    Attributes:
        sequence: Its number.
        seen: Monotonic seconds of the viewer when it was first seen.
        age: Seconds it was already old then: a guess from the driver's clock for the first one
            seen, 0 for every later one.
    """

    sequence: int
    seen: float
    age: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a run stands, in a viewer's eyes.

    Attributes:
        pulse: What its heartbeat says.
        state: The state the head gives.
        quiet: Seconds since the heartbeat moved.
        text: One phrase for people.
    """

    pulse: Pulse
    state: RunState
    quiet: float
    text: str

    @property
    def live(self) -> bool:
        """Whether a driver may be at work."""
        return self.pulse not in (Pulse.LOST, Pulse.ENDED)


def observe(previous: Beat | None, head: Head, *, monotonic: float, wall: float) -> Beat:
    """The newest heartbeat after one more read of the head.

    Args:
        previous: What the viewer knew before; None at its first read.
        head: As just read.
        monotonic: The viewer's monotonic clock, seconds.
        wall: The viewer's wall clock, seconds since the epoch.
    """
    if previous is None:
        return Beat(head.sequence, monotonic, max(0.0, wall - head.time))
    if head.sequence != previous.sequence:
        return Beat(head.sequence, monotonic, 0.0)
    return previous


def judge(head: Head, beat: Beat, *, monotonic: float, alive: bool | None) -> Judgement:
    """What to make of a run. A pure function.

    Args:
        head: As last read.
        beat: Result of :func:`observe` on every read so far.
        monotonic: The viewer's monotonic clock now.
        alive: Whether the driver's process exists; None where the viewer cannot know.
    """
    state = state_of(head)
    quiet = max(0.0, monotonic - beat.seen) + beat.age
    if state.ended:
        return Judgement(Pulse.ENDED, state, quiet, state.value)
    if alive is False:
        return Judgement(Pulse.LOST, state, quiet, f"the driver (pid {head.pid}) is gone")
    if quiet > max(LOST_SECONDS, 10 * head.interval):
        return Judgement(Pulse.LOST, state, quiet, f"no news for {duration(quiet)}")
    if quiet > max(STALE_SECONDS, 3 * head.interval):
        return Judgement(Pulse.STALE, state, quiet, f"no news for {duration(quiet)}")
    if quiet > 3 * head.interval:
        return Judgement(Pulse.QUIET, state, quiet, f"last beat {duration(quiet)} ago")
    return Judgement(Pulse.BEATING, state, quiet, f"last beat {duration(quiet)} ago")


def state_of(head: Head) -> RunState:
    """The head's state; one that a newer release invented counts as running."""
    try:
        return RunState(head.state)
    except ValueError:
        return RunState.RUNNING


def driver_alive(head: Head) -> bool | None:
    """Whether the driver's process exists; None when it runs, or ran, on another host.

    A process counts only with the start time the head gives, because pids are used again.
    """
    if head.host != host_name():
        return None
    same = same_boot(head.boot_id, boot_id())
    return is_alive(head.pid, head.pid_started) if same else same


class Watch:
    """Repeated reads of one run's head, and the judgement on them.

    Args:
        read: Reads the head; None while there is none.
        monotonic, wall: Clocks, seconds.
        alive: Whether the driver's process exists.
    """

    def __init__(
        self,
        read: Callable[[], Head | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        alive: Callable[[Head], bool | None] = driver_alive,
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._wall = wall
        self._alive = alive
        self._beat: Beat | None = None
        self.head: Head | None = None

    def look(self) -> Judgement | None:
        """Read once and judge; None while there is no head. A torn read changes nothing."""
        head = self._read() or self.head
        if head is None:
            return None
        self.head = head
        self._beat = observe(self._beat, head, monotonic=self._monotonic(), wall=self._wall())
        alive = None if state_of(head).ended else self._alive(head)
        return judge(head, self._beat, monotonic=self._monotonic(), alive=alive)

    def settle(self, sleep: Callable[[float], None] = time.sleep) -> Judgement | None:
        """One judgement that does not hang on two clocks agreeing.

        A first read that looks old is read again for up to three intervals: the heartbeat of a
        live run moves in that time, whatever the clocks say.
        """
        judgement = self.look()
        waited = 0.0
        while judgement is not None and self.head is not None and waited < 3 * self.head.interval:
            if judgement.pulse in (Pulse.BEATING, Pulse.ENDED) or self._alive(self.head) is False:
                break
            step = min(0.5, self.head.interval / 2)
            sleep(step)
            waited += step
            judgement = self.look()
        return judgement
