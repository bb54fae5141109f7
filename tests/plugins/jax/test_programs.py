"""Compiled programs: one for each shape, buffers given away only where they can be used."""

from __future__ import annotations

import numpy as np
import pytest
from foretell.errors import ShapeMismatch


def bound(function, donate=True, floats=None, axes=None):
    import jax
    from foretell_jax.mesh import everywhere, make_mesh
    from foretell_jax.programs import Programs

    mesh = make_mesh(axes or {"dp": 4, "mp": 2})
    programs = Programs(function, mesh, donate=donate, floats=floats)
    params = jax.device_put({"w": np.arange(3, dtype=np.float32)}, everywhere(mesh))
    return programs, programs.bind(params)


def launch(program, inputs, size=8):
    from foretell_jax.collect import to_host

    extras = {
        "keys": np.zeros((size, 2), np.uint32),
        "rows": np.arange(size),
        "mask": np.arange(size) < 5,
    }
    return to_host(program.launch(inputs, size, extras.__getitem__), size)


@pytest.mark.parametrize("axes", [{"dp": 1, "mp": 1}, {"dp": 4, "mp": 2}])
@pytest.mark.parametrize("donate", [True, False])
def test_inputs_are_given_away_where_an_output_is_alike(axes, donate):
    x, y = np.ones((8, 3), np.float32), np.ones((8, 2), np.float32)
    programs, program = bound(
        lambda params, keys, rows, mask, batch: {
            "same": batch["x"] * params["w"],
            "other": batch["y"].sum(1),
        },
        donate=donate,
        axes=axes,
    )
    for _ in range(2):  # the caller's arrays are never touched
        found = launch(program, {"x": x, "y": y})
        np.testing.assert_array_equal(found["same"], np.tile([0, 1, 2], (8, 1)))
        np.testing.assert_array_equal(found["other"], np.full(8, 2))
    np.testing.assert_array_equal(x, 1)
    (compiled,) = programs.known.values()
    assert compiled.donated == (frozenset({0}) if donate else frozenset())
    assert programs.compiled.count == 1


def test_only_what_is_wanted_travels():
    programs, program = bound(
        lambda params, keys, rows, mask, batch: {"m": mask, "r": rows + batch.astype("int32")[:, 0]}
    )
    found = launch(program, np.zeros((8, 1), np.float32))
    np.testing.assert_array_equal(found["m"], np.arange(8) < 5)
    np.testing.assert_array_equal(found["r"], np.arange(8))
    (compiled,) = programs.known.values()
    assert compiled.extras == ("mask", "rows")


def test_half_precision_computes_in_it_and_returns_what_numpy_has():
    met = []

    def function(params, keys, rows, mask, batch):
        met.append((str(batch["x"].dtype), str(batch["n"].dtype)))
        return {"y": batch["x"] * 2, "n": batch["n"]}

    _, program = bound(function, floats="bfloat16")
    found = launch(program, {"x": np.ones((8, 2), np.float32), "n": np.arange(8, dtype=np.int32)})
    assert set(met) == {("bfloat16", "int32")}
    assert (found["y"].dtype, found["n"].dtype) == (np.float32, np.int32)


def test_an_output_without_a_row_for_every_row_is_named():
    _, program = bound(lambda params, keys, rows, mask, batch: {"mean": batch.mean()})
    with pytest.raises(ShapeMismatch) as caught:
        launch(program, np.zeros((8, 2), np.float32))
    assert ("where", "['mean']") in caught.value.facts
    assert ("got", "shape ()") in caught.value.facts
