"""``foretell.predict`` with live objects."""

from __future__ import annotations

from pathlib import Path

import foretell
import numpy as np
import pytest
from foretell.errors import FingerprintMismatch


def double(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"y": x * 2}


def test_other_data_are_refused_and_only_what_is_legal_is_offered(tmp_path: Path) -> None:
    store = str(tmp_path / "out.zarr")
    run = foretell.predict(double, np.arange(6.0), store, batch_size=2)
    assert run["y"][:].tolist() == [0, 2, 4, 6, 8, 10]
    with pytest.raises(FingerprintMismatch) as caught:
        foretell.predict(double, np.arange(1.0, 7.0), store, batch_size=2)
    # A run of live objects cannot be resumed by a command.
    assert [action for action, _ in caught.value.tries] == [f"--output {tmp_path}/out-2.zarr"]
    assert foretell.open_run(store)["y"][:].tolist() == [0, 2, 4, 6, 8, 10]


def test_without_a_model_the_predictor_section_must_name_one(tmp_path):
    with pytest.raises(foretell.errors.ConfigError, match=r"predictor\.model: missing"):
        foretell.predict(None, np.arange(6.0), tmp_path / "out.zarr")
    (tmp_path / "model.py").write_text("def double(x):\n    return {'y': 2 * x}\n")
    settings = {"model": f"{tmp_path}/model.py:double"}
    run = foretell.predict(
        None, np.arange(6.0), tmp_path / "out.zarr", batch_size=2, predictor=settings
    )
    assert run["y"][:].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


@pytest.mark.parametrize(
    ("chunk", "batch"), [(1000, 250), (100, 100), (64, 64), (768, 256), (1002, 167)]
)
def test_an_automatic_batch_fits_the_chunk_that_is_set(tmp_path, chunk, batch):
    run = foretell.predict(
        double, np.arange(2000.0), tmp_path / "out.zarr", schedule={"workers": 0, "chunk": chunk}
    )
    assert run.snapshot.plan.batch_size == batch
    assert run["y"][:].tolist() == (np.arange(2000.0) * 2).tolist()


def test_no_tiny_batch_is_made_of_an_odd_chunk(tmp_path):
    settings = {"workers": 0, "chunk": 1009}
    with pytest.raises(foretell.errors.PlanError, match="whole number of batches"):
        foretell.predict(double, np.arange(2000.0), tmp_path / "out.zarr", schedule=settings)
