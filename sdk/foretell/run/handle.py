"""A run, opened for reading: ``foretell.open_run`` and what ``foretell.predict`` returns."""

from __future__ import annotations

from foretell.engine import parts
from foretell.store.failures import Failure, FailureGroup, group_failures, read_failures
from foretell.store.head import Head, read_head
from foretell.store.manifest import Manifest
from foretell.store.objects import ObjectStore
from foretell.store.open import open_objects
from foretell.store.reader import RunReader
from foretell.store.snapshot import Snapshot, open_snapshot
from foretell.store.standing import Standing, standing_of
from foretell.text import visible


class Run(RunReader):
    """A run store, open for reading; right at any moment, while the run lives too.

    ``run["logits"][:]`` reads values, ``run.status()`` says how it stands, ``run.failures()`` what
    failed. See :class:`~foretell.store.reader.RunReader` for reading.

    Attributes:
        url: Where it is.
        objects: Its objects.
    """

    def __init__(self, objects: ObjectStore, snapshot: Snapshot) -> None:
        self.objects = objects
        self.url = objects.url
        manifest = snapshot.manifest
        section = {k: v for k, v in manifest.job["writer"].items() if v is not None}
        writer = parts.build_writer(section, manifest.base_dir or ".", objects)
        writer.open(snapshot.plan.writer_plan())
        super().__init__(snapshot, writer)

    @property
    def manifest(self) -> Manifest:
        """What the run is: resolved job, plan, fingerprint, versions."""
        return self.snapshot.manifest

    @property
    def head(self) -> Head | None:
        """The last heartbeat, read now."""
        return read_head(self.objects)

    def status(self) -> Standing:
        """How the run stands: state, totals, rates, and what to do next."""
        return standing_of(self.objects)

    def failures(self) -> list[FailureGroup]:
        """What failed, grouped by cause, the most frequent first."""
        self.snapshot.refresh()
        return group_failures(read_failures(self.objects), self.snapshot.table)

    def each_failure(self) -> list[Failure]:
        """Every stored failure record, oldest first."""
        return list(read_failures(self.objects))

    def __repr__(self) -> str:
        standing = self.status()
        totals = standing.totals
        return (
            f"<Run {visible(self.url)!r}: {standing.state}, "
            f"{totals.rows_done:,} of {totals.rows:,} rows, outputs {', '.join(self.names)}>"
        )

    def _repr_html_(self) -> str:
        from foretell.report.small import CELLS, html_of
        from foretell.report.view import view_of

        view = view_of(self.objects, self.snapshot, cells=CELLS)
        return html_of(view, [(name, self[name].spec.describe()) for name in self.names])


def open_run(url: str) -> Run:
    """Open the run at a path or URL for reading.

    Raises:
        NotARun: there is none.
        StoreError: its manifest or ledger is damaged.
    """
    objects = open_objects(str(url))
    return Run(objects, open_snapshot(objects))
