"""Drivers come, write, die and race; what a reopened ledger says always equals a simple model."""

import os
import shutil
import tempfile
from contextlib import suppress

import pytest
from foretell.errors import Fenced, StorageError
from foretell.store.compact import compact
from foretell.store.fold import complete_folds
from foretell.store.head import HeadWriter
from foretell.store.ledger import LedgerWriter
from foretell.store.local import LocalObjects
from foretell.store.manifest import new_manifest, read_manifest, write_manifest
from foretell.store.objects import set_fault_hook
from foretell.store.projection import load
from foretell.store.records import SessionEnded, WorkerSeen
from foretell.store.snapshot import open_snapshot
from foretell.store.takeover import claim
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from ledger_model import FakeTime, Model, driver, head_of, plan_json, records

N_CHUNKS = 9
WRITES = st.sampled_from(["create", "create-staged", "create-done", "delete"])


class Crash(BaseException):
    """Stands for the death of the process: nothing after it runs."""


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.time = FakeTime()
        self.drivers = 0
        self.objects = LocalObjects(self.folder)
        manifest = new_manifest(
            job={}, fingerprint={}, plan=plan_json(N_CHUNKS), versions={}, created=1.0
        )
        assert write_manifest(self.objects, manifest)
        self.manifest = read_manifest(self.objects)
        self.model = Model(N_CHUNKS)
        self.snapshot = open_snapshot(self.objects)
        self.fenced: list[LedgerWriter] = []

    def teardown(self) -> None:
        set_fault_hook(None)
        shutil.rmtree(self.folder)

    # --- drivers --------------------------------------------------------------------------

    @initialize()
    def first_driver(self) -> None:
        self.new_driver(take_over=False)

    def new_driver(self, *, take_over: bool) -> None:
        self.drivers += 1
        self.writer = claim(
            LocalObjects(self.folder),
            self.manifest,
            take_over=take_over,
            me=driver(self.drivers),
            clock=self.time.clock,
        )
        assert self.writer.epoch == self.drivers
        started = self.writer.session
        assert started.epoch == self.drivers
        self.model.apply(started)

    @rule()
    def driver_dies_and_another_comes(self) -> None:
        self.writer.close()
        self.new_driver(take_over=False)

    @rule(clean=st.booleans())
    def driver_ends_and_another_comes(self, clean: bool) -> None:
        ended = SessionEnded("interrupted", 75, self.time.now)
        self.writer.append([ended])
        self.model.apply(ended)
        self.writer.close()
        self.new_driver(take_over=False)

    @rule()
    def driver_is_taken_over(self) -> None:
        self.fenced.append(self.writer)
        self.new_driver(take_over=True)

    @precondition(lambda self: bool(self.fenced))
    @rule(batch=st.lists(records(N_CHUNKS), min_size=1, max_size=3), fold=st.booleans())
    def fenced_driver_wakes_up(self, batch, fold) -> None:
        late = self.fenced.pop(0)
        if fold:
            # The step that one paused in the middle of a fold takes next.
            compact(self.objects)
        for act in (lambda: late.append(batch), late.check_fence):
            with pytest.raises(Fenced) as caught:
                act()
            assert caught.value.exit_code == 6
            assert "taken by" in dict(caught.value.facts)
        with suppress(Fenced):
            assert late.fold(force=True) is None

    # --- records --------------------------------------------------------------------------

    @rule(batch=st.lists(records(N_CHUNKS), max_size=8))
    def append(self, batch) -> None:
        self.writer.append(batch)
        for record in batch:
            self.model.apply(record)

    @rule()
    def worker_joins(self) -> None:
        index = self.writer.next_worker
        worker = WorkerSeen(index, f"tcp://{index}", "elsewhere", index, 1.0)
        self.writer.append([worker])
        self.model.apply(worker)

    @rule(
        batch=st.lists(records(N_CHUNKS), min_size=1, max_size=5),
        more=st.lists(records(N_CHUNKS), max_size=3),
        where=st.sampled_from(["create", "create-staged", "create-done"]),
    )
    def append_fails_and_is_repeated(self, batch, more, where) -> None:
        """After a storage error nobody knows whether the segment is there; both must do."""
        failed = self.fail_once(where, OSError(5, "injected"))
        with suppress(StorageError):
            self.writer.append(batch)
        assert failed == [where]
        self.writer.append([*batch, *more])
        landed = where == "create-done"
        for record in [*(batch if landed else []), *batch, *more]:
            self.model.apply(record)

    @rule(
        batch=st.lists(records(N_CHUNKS), min_size=1, max_size=5),
        where=st.sampled_from(["create", "create-staged", "create-done"]),
    )
    def driver_dies_in_an_append(self, batch, where) -> None:
        failed = self.fail_once(where, Crash())
        with suppress(Crash):
            self.writer.append(batch)
        assert failed == [where]
        if where == "create-done":
            for record in batch:
                self.model.apply(record)
        self.writer.close()
        self.new_driver(take_over=False)

    # --- folds ----------------------------------------------------------------------------

    @rule()
    def fold(self) -> None:
        self.writer.fold(force=True)

    @rule(where=WRITES, number=st.integers(1, 40))
    def driver_dies_in_a_fold(self, where, number) -> None:
        failed = self.fail_once(where, Crash(), number)
        try:
            self.writer.fold(force=True)
        except Crash:
            assert failed
        set_fault_hook(None)
        self.writer.close()
        self.new_driver(take_over=False)

    @precondition(lambda self: bool(complete_folds(self.objects)))
    @rule(data=st.data())
    def newest_fold_is_damaged(self, data) -> None:
        """The ledger, or the fold before, must make up for it."""
        newest = complete_folds(self.objects)[0]
        if self.writer.newest_fold != newest:
            return
        keys = sorted(self.objects.list(f"_run/fold/{newest}/"))
        key = data.draw(st.sampled_from([key for key in keys if not key.endswith("zarr.json")]))
        whole = self.objects.get(key)
        position = data.draw(st.integers(0, len(whole) - 1))
        self.objects.put(
            key, whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        )
        self.model.check(load(self.objects, N_CHUNKS).table)
        self.objects.put(key, whole)

    # --- heads and viewers ----------------------------------------------------------------

    @rule()
    def heartbeat(self) -> None:
        session = self.writer.session
        HeadWriter(self.objects).write(head_of(session, self.writer))

    @rule()
    def viewer_looks(self) -> None:
        self.heartbeat()
        self.snapshot.refresh()
        assert self.snapshot.last_segment == self.writer.last_segment
        self.model.check(self.snapshot.table)
        assert not self.snapshot.refresh()

    @invariant()
    def everybody_agrees(self) -> None:
        self.model.check(self.writer.table)
        self.model.check(load(self.objects, N_CHUNKS).table)

    def fail_once(self, where: str, error: BaseException, number: int = 1) -> list[str]:
        failed: list[str] = []
        seen = [0]

        def hook(operation: str, key: str) -> None:
            if operation != where or failed:
                return
            seen[0] += 1
            if seen[0] == number:
                failed.append(operation)
                raise error

        set_fault_hook(hook)
        return failed


TestLedger = LedgerMachine.TestCase
# Shrinking a failure here takes minutes; twenty steps can be read as they are.
TestLedger.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
