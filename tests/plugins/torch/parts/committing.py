"""What tests of committed chunks share: writers, what is in the store, what is in the spool."""

import numpy as np
import pytest
from foretell.store.open import open_objects
from foretell.store.snapshot import open_snapshot
from foretell.store.verify import verify
from foretell.types import ChunkState
from foretell_torch import read_predictions
from foretell_torch.writer.runstore import store_writer
from foretell_torch.writer.spool import read_segments
from trainer_run import predict
from writing import rows

CHUNK_BYTES = 200
"""A chunk has 16 rows of 12 bytes."""

EPOCH = {"write_interval": "epoch"}
"""Only size and borders close a segment: the clock has no say."""

SLOW = {**EPOCH, "segment_bytes": 100}
"""A segment of about 10 rows: chunks come in parts, as those of a slow model do."""


def store(out, name="predictions.zarr"):
    return out / name


def done(out, name="predictions.zarr"):
    """Chunks that are in the store."""
    table = open_snapshot(open_objects(str(store(out, name)))).table
    return np.flatnonzero(table.state == ChunkState.DONE).tolist()


def spooled(out):
    """Rows that are in the spool."""
    return sorted(row for _, s in read_segments(open_objects(str(out)), "spool") for row in s.rows)


def check(out, n, name="predictions.zarr", loader=None):
    np.testing.assert_array_equal(read_predictions(out, loader)["y"], rows(n))
    objects = open_objects(str(store(out, name)))
    snapshot = open_snapshot(objects)
    report = verify(snapshot, store_writer(objects, snapshot.manifest), deep=True)
    assert report.problems == []
    assert not (out / "spool").exists()


def stopped(out, spec, fail_at, writer=EPOCH, **module):
    with pytest.raises(RuntimeError, match="planted"):
        predict(out, spec, {"fail_at": fail_at, **module}, writer=writer)
