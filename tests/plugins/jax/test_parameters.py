"""Parameters from files: every format, straight into its sharding, never a pickle."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from foretell.errors import LoadError
from foretell_jax.options import JaxOptions
from foretell_jax.parameters import open_parameters
from foretell_jax.predictor import JaxPredictor

TREE: dict[str, dict[str, np.ndarray]] = {
    "up": {
        "kernel": np.arange(96, dtype=np.float32).reshape(12, 8),
        "steps": np.array(7, np.int32),
    },
    "down": {"kernel": np.arange(40, dtype=np.float32).reshape(8, 5)},
}
RULES = [(("up", "kernel"), (None, "mp")), (("down", "kernel"), ("mp",)), ((".*",), None)]


def save_safetensors(folder):
    from safetensors.numpy import save_file

    path = folder / "net.safetensors"
    flat = {f"{a}.{b}": leaf for a, part in TREE.items() for b, leaf in part.items()}
    save_file(flat, path)
    return path


def save_split_safetensors(folder):
    from safetensors.numpy import save_file

    for name, part in TREE.items():
        flat = {f"{name}/{key}": leaf for key, leaf in part.items()}
        save_file(flat, folder / f"model-{name}.safetensors")
    return folder


def save_msgpack(folder):
    serialization = pytest.importorskip("flax.serialization")
    path = folder / "net.msgpack"
    path.write_bytes(serialization.msgpack_serialize(TREE))
    return path


def save_orbax(folder):
    orbax = pytest.importorskip("orbax.checkpoint")
    with orbax.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder / "net", TREE)
    return folder / "net"


def save_standard_orbax(folder):
    orbax = pytest.importorskip("orbax.checkpoint")
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "net", TREE)
    return folder / "net"


SAVERS = [save_safetensors, save_split_safetensors, save_msgpack, save_orbax, save_standard_orbax]


@pytest.mark.parametrize("save", SAVERS)
@pytest.mark.parametrize("floats", [None, "bfloat16"])
def test_each_format_goes_straight_into_its_sharding(tmp_path, save, floats):
    import jax
    from foretell_jax.mesh import make_mesh, shardings_for, specs_for

    mesh = make_mesh({"dp": 2, "mp": 4})
    parameters = open_parameters(save(tmp_path))
    shapes = parameters.shapes()
    assert jax.tree.map(lambda s: (s.shape, str(s.dtype)), shapes) == jax.tree.map(
        lambda a: (a.shape, str(a.dtype)), TREE
    )
    loaded = parameters.load(shardings_for(specs_for(shapes, RULES, mesh), mesh), floats)
    up = loaded["up"]["kernel"]
    assert {shard.data.shape for shard in up.addressable_shards} == {(12, 2)}
    assert up.dtype == (floats or "float32")
    assert loaded["up"]["steps"].dtype == "int32"  # only floats are cast
    jax.tree.map(
        lambda got, want: np.testing.assert_array_equal(np.asarray(got, want.dtype), want),
        loaded,
        TREE,
    )


def test_bfloat16_is_read_as_it_is(tmp_path):
    import jax.numpy as jnp
    from safetensors.flax import save_file

    save_file({"w": jnp.arange(8, dtype=jnp.bfloat16)}, tmp_path / "b.safetensors")
    assert str(open_parameters(tmp_path / "b.safetensors").shapes()["w"].dtype) == "bfloat16"


def test_an_initialiser_is_traced_and_makes_its_parts_in_place():
    import jax
    from foretell_jax.mesh import make_mesh, shardings_for, specs_for
    from foretell_jax.parameters import from_function

    met = []

    def init(rng, width):
        met.append(isinstance(rng, jax.core.Tracer))
        return {"kernel": jax.random.normal(rng, (width, 8))}

    mesh = make_mesh({"dp": 1, "mp": 8})
    parameters = from_function(init, {"width": 16, "other": 1}, seed=3)
    specs = specs_for(parameters.shapes(), [(("kernel",), ("mp",))], mesh)
    loaded = parameters.load(shardings_for(specs, mesh))
    assert all(met)
    assert {shard.data.shape for shard in loaded["kernel"].addressable_shards} == {(2, 8)}
    want = jax.random.normal(jax.random.PRNGKey(3), (16, 8))
    np.testing.assert_allclose(loaded["kernel"], want, rtol=1e-6)


@pytest.mark.parametrize("name", ["net.pkl", "net.safetensors", "net.msgpack"])
def test_a_pickle_is_never_opened(tmp_path, name):
    opened = tmp_path / "opened"

    class Evil:
        def __reduce__(self):
            return (open, (str(opened), "w"))

    (tmp_path / name).write_bytes(pickle.dumps({"w": Evil()}))
    with pytest.raises(LoadError):
        open_parameters(tmp_path / name).shapes()
    assert not opened.exists()


def test_a_damaged_file_is_named(tmp_path):
    path = save_safetensors(tmp_path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LoadError, match="cannot be read") as caught:
        open_parameters(path)
    assert ("file", str(path)) in caught.value.facts


def test_a_missing_library_is_named_with_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("foretell.frameworks.importlib.import_module", _without_flax)
    (tmp_path / "net.msgpack").write_bytes(b"")
    with pytest.raises(LoadError, match="flax cannot be imported") as caught:
        open_parameters(tmp_path / "net.msgpack")
    assert caught.value.tries == (("pip install flax", "brings it"),)


def _without_flax(name):
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_parameters_come_from_one_place(tmp_path):
    path = save_safetensors(tmp_path)
    with pytest.raises(Exception, match="two places"):
        JaxPredictor(JaxOptions(model="json:dumps", checkpoint=str(path), params="json:loads"))
