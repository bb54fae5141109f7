"""How a driver takes a run: nobody else may hold it, and nobody may write late into it.

The order matters. First it must be known that no driver lives, or the user must have said to take
over; then this session's first record takes the next place in the ledger, which fences every other
driver; then the workers of the session before are ended or waited for; and last what they left
staged is swept, so that whoever wakes up later finds nothing to put in place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from foretell.errors import Fenced, HeldError
from foretell.redact import redact_text
from foretell.store import control
from foretell.store.fold import complete_folds
from foretell.store.head import Head, read_head
from foretell.store.identity import ProcessIdentity, is_alive, this_process
from foretell.store.layout import parse_fold_name
from foretell.store.leases import HEARTBEAT_LOCAL, HEARTBEAT_REMOTE, LATE_WRITE_SECONDS
from foretell.store.ledger import LedgerWriter, active_here
from foretell.store.manifest import Manifest
from foretell.store.objects import ObjectStore
from foretell.store.orphans import end_orphans, is_here, relevant_workers
from foretell.store.projection import Projection, load, reaches_end
from foretell.store.records import SessionStarted
from foretell.text import word

Say = Callable[[str], None]

_CLAIM_TRIES = 20
_POLL_SECONDS = 0.25
_REBOOT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as a take-over sees it; tests put their own."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def claim(
    objects: ObjectStore,
    manifest: Manifest,
    *,
    take_over: bool = False,
    command: str = "",
    say: Say = lambda text: None,
    projection: Projection | None = None,
    clock: Clock | None = None,
    me: ProcessIdentity | None = None,
) -> LedgerWriter:
    """Become the run's driver.

    Args:
        objects: The run store, its manifest written.
        manifest: The run's manifest.
        take_over: Take the run even from a driver that is alive.
        command: What the user typed, for others to see.
        say: Told what is being waited for, one line at a time.
        projection: The ledger as just read, to spare reading it again; owned by the writer then.
        clock: Time; the real one by default.
        me: Who claims; the calling process by default.

    Returns:
        The ledger's writer, its session's first record durable.

    Raises:
        HeldError: a live driver holds the run.
        DamagedLedger: the ledger cannot be trusted.
    """
    clock = clock or Clock()
    me = me or this_process()
    if projection is None:
        projection = read_ledger(objects, manifest)
    else:
        projection.read_on(objects)
        if not reaches_end(objects, projection):
            projection = read_ledger(objects, manifest)
    for _ in range(_CLAIM_TRIES):
        if not take_over:
            _refuse_if_held(objects, projection, me, clock, say)
        writer = LedgerWriter(objects, projection, projection.table.epoch + 1)
        try:
            writer.append([_session(writer.epoch, me, clock, command)])
        except Fenced:
            # Somebody was faster: look again at who they are.
            writer.close()
            projection = read_ledger(objects, manifest)
            continue
        if _is_history(objects, writer.last_segment):
            # What was read is so old that the place had been used and compacted away.
            writer.close()
            projection = read_ledger(objects, manifest)
            continue
        _settle(objects, writer, me, clock, say)
        return writer
    raise _held(objects, projection, read_head(objects), "it keeps writing to the ledger")


def read_ledger(objects: ObjectStore, manifest: Manifest) -> Projection:
    """The ledger as a driver must read it, every segment accounted for.

    Raises:
        DamagedLedger: something is missing or altered.
    """
    head = read_head(objects)
    return load(objects, manifest.n_chunks, head.last_segment if head is not None else 0)


def _is_history(objects: ObjectStore, segment: int) -> bool:
    """Whether others had gone past a segment before it was created: then it means nothing."""
    parsed = (parse_fold_name(name) for name in complete_folds(objects))
    return any(at is not None and at[1] >= segment for at in parsed)


def _session(epoch: int, me: ProcessIdentity, clock: Clock, command: str) -> SessionStarted:
    return SessionStarted(
        epoch=epoch,
        host=me.host,
        boot_id=me.boot_id,
        pid=me.pid,
        pid_started=me.pid_started,
        time=clock.now(),
        command=redact_text(command),
    )


# --- is anybody there? ------------------------------------------------------------------------


def _refuse_if_held(
    objects: ObjectStore, projection: Projection, me: ProcessIdentity, clock: Clock, say: Say
) -> None:
    table = projection.table
    if not table.sessions or table.ended is not None:
        return
    session = table.sessions[-1]
    head = read_head(objects)
    if is_here(session, me):
        if session.pid == me.pid and session.pid_started == me.pid_started:
            held = active_here(projection.last_writer)
        else:
            held = is_alive(session.pid, session.pid_started)
        if held:
            raise _held(objects, projection, head, "its process is alive")
        return
    if session.host == me.host and head is not None and clock.now() - head.time > _REBOOT_SECONDS:
        return  # one clock, another boot: that driver went down with the machine
    if _heartbeat_seen(objects, projection, head, clock, say):
        raise _held(objects, projection, head, "its heartbeat goes on")


def _heartbeat_seen(
    objects: ObjectStore, projection: Projection, head: Head | None, clock: Clock, say: Say
) -> bool:
    """Watch a driver that cannot be looked up: on another host, or of another boot."""
    session = projection.table.sessions[-1]
    interval = head.interval if head is not None else _interval(objects)
    patience = max(3 * interval, LATE_WRITE_SECONDS)
    say(f"watching for {patience:.0f} s whether pid {session.pid} on {session.host} is alive")
    before = head.sequence if head is not None else 0
    end = clock.monotonic() + patience
    while clock.monotonic() < end:
        clock.sleep(min(interval, max(0.0, end - clock.monotonic())))
        head = read_head(objects)
        if head is not None and head.sequence != before:
            return True
        if projection.read_on(objects):
            return projection.table.ended is None
    return False


def _interval(objects: ObjectStore) -> float:
    return HEARTBEAT_REMOTE if objects.remote else HEARTBEAT_LOCAL


def _held(objects: ObjectStore, projection: Projection, head: Head | None, why: str) -> HeldError:
    session = projection.table.sessions[-1]
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(session.time))
    facts = [
        ("run", objects.url),
        ("driver", f"pid {session.pid} on {session.host}, since {since} ({why})"),
    ]
    if session.command:
        facts.append(("command", session.command))
    if head is not None and head.epoch == session.epoch:
        facts.append(
            ("state", f"{head.state}, {head.totals.done:,} of {head.totals.chunks:,} done")
        )
    return HeldError(
        "another driver holds this run",
        facts=facts,
        tries=[
            (f"sdk status {word(objects.url)}", "see how it is doing"),
            ("--take-over", "stop it and go on here; nothing recorded is lost"),
        ],
    )


# --- nobody may write late --------------------------------------------------------------------


def _settle(
    objects: ObjectStore, writer: LedgerWriter, me: ProcessIdentity, clock: Clock, say: Say
) -> None:
    table = writer.table
    if len(table.sessions) > 1:
        workers = [pair for pair in relevant_workers(table) if pair[1].epoch < writer.epoch]
        unproved = end_orphans(workers, me, clock.sleep)
        if table.loose and (unproved or not workers):
            _wait_for_leases(writer, me, clock, say)
    # Of a first session too: a driver may have been killed before it could begin one.
    objects.sweep()
    control.clear(objects, writer.epoch)


def _wait_for_leases(writer: LedgerWriter, me: ProcessIdentity, clock: Clock, say: Say) -> None:
    """Wait until no put of an earlier session can be on its way, or its workers are dead."""
    say(f"waiting up to {LATE_WRITE_SECONDS:.0f} s until earlier workers cannot write any more")
    end = clock.monotonic() + LATE_WRITE_SECONDS
    while (left := end - clock.monotonic()) > 0:
        pairs = [pair for pair in relevant_workers(writer.table) if pair[1].epoch < writer.epoch]
        if pairs and all(
            _dead(worker.host, session, worker.pid, worker.pid_started, me)
            for worker, session in pairs
        ):
            return
        clock.sleep(min(_POLL_SECONDS, left))


def _dead(
    host: str, session: SessionStarted, pid: int, started: float, me: ProcessIdentity
) -> bool:
    return host == me.host and is_here(session, me) and not is_alive(pid, started)
