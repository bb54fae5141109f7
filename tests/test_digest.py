import functools
import logging
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from foretell.digest import (
    canonical_json,
    hash_array,
    hash_bytes,
    hash_file,
    hash_json,
    hash_object,
    hash_path,
    hash_tree,
)
from foretell.errors import ConfigError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

FACTOR = 3


def test_a_file_is_hashed_by_its_bytes(tmp_path):
    path = tmp_path / "weights"
    data = os.urandom(5_000_001)
    path.write_bytes(data)
    assert hash_file(path) == hash_path(path) == hash_bytes(data)


def test_a_tree_is_hashed_by_names_and_contents(tmp_path):
    def tree(name, files):
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return hash_tree(tmp_path / name)

    same = tree("a", {"x/1.txt": "one", "2.txt": "two"})
    assert same == tree("b", {"2.txt": "two", "x/1.txt": "one", "__pycache__/m.pyc": "junk"})
    assert same == hash_path(tmp_path / "a")
    assert same != tree("c", {"x/1.txt": "one", "3.txt": "two"})
    assert same != tree("d", {"x/1.txt": "one!", "2.txt": "two"})
    assert same != tree("e", {"x1.txt": "one", "2.txt": "two"})


def test_a_link_counts_as_what_it_leads_to(tmp_path):
    (tmp_path / "blob").write_text("weights")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a/model").symlink_to(tmp_path / "blob")
    (tmp_path / "b/model").write_text("weights")
    assert hash_tree(tmp_path / "a") == hash_tree(tmp_path / "b")


@given(hnp.arrays(st.sampled_from(["f4", ">f4", "i8", "?", "c16"]), hnp.array_shapes(min_side=0)))
def test_arrays_are_hashed_by_value_not_by_layout(array):
    assert hash_array(array) == hash_array(np.asfortranarray(array))
    assert hash_array(array) == hash_array(array.astype(array.dtype.newbyteorder()))
    assert hash_array(array) == hash_array(np.repeat(array, 2, axis=0)[::2])


def test_arrays_of_other_shape_dtype_or_value_differ():
    array = np.arange(6, dtype="i4")
    others = [array.reshape(2, 3), array.astype("u4"), array.astype("i8"), array + 1, array[:5]]
    assert len({hash_array(other) for other in [array, *others]}) == len(others) + 1


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_canonical_json_ignores_the_order_of_keys(value):
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)
    assert hash_json({"a": value}) == hash_json({"a": backwards})


def scaled(x):
    return FACTOR * x


def adder(n):
    def add(x):
        return x + n

    return add


class Net:
    bias = 1

    def __init__(self, weights):
        self.weights = weights
        self.itself = self

    def __call__(self, x):
        return x @ self.weights + self.bias

    @property
    def size(self):
        return self.weights.size


def test_equal_objects_hash_equal_and_changed_ones_differ(monkeypatch):
    weights = np.arange(4.0).reshape(2, 2)
    same = hash_object(Net(weights))
    assert same == hash_object(Net(weights.copy()))
    assert same != hash_object(Net(weights + 1))
    assert hash_object(Net(weights).__call__) not in (same, hash_object(Net(weights + 1).__call__))
    monkeypatch.setattr(Net, "bias", 2)
    assert same != hash_object(Net(weights))


def test_a_changed_method_changes_the_hash(monkeypatch):
    before = hash_object(Net(np.zeros(2)))
    monkeypatch.setattr(Net, "__call__", lambda self, x: x @ self.weights - self.bias)
    assert before != hash_object(Net(np.zeros(2)))


def test_functions_count_with_closure_globals_and_defaults(monkeypatch):
    assert hash_object(adder(1)) == hash_object(adder(1))
    assert hash_object(adder(1)) != hash_object(adder(2))
    before = hash_object(scaled)
    monkeypatch.setitem(globals(), "FACTOR", 4)
    assert before != hash_object(scaled)
    assert hash_object(lambda x, y=1: x + y) != hash_object(lambda x, y=2: x + y)
    assert hash_object(lambda x: x + 1) != hash_object(lambda x: x + 2)


def test_globals_of_inner_functions_count(monkeypatch):
    def outer(x):
        return [FACTOR * item for item in (lambda y: [FACTOR, y])(x)]

    before = hash_object(outer)
    monkeypatch.setitem(globals(), "FACTOR", 5)
    assert before != hash_object(outer)


def test_partials_sets_cycles_loggers_and_modules_can_be_hashed():
    assert hash_object(functools.partial(scaled, x=1)) != hash_object(
        functools.partial(scaled, x=2)
    )
    assert hash_object({"a", "b", "c"}) == hash_object({"c", "b", "a"})
    ring: list[object] = [1]
    ring.append(ring)
    assert hash_object(ring) == hash_object(ring)
    assert hash_object([logging.getLogger("a"), np]) != hash_object([logging.getLogger("b"), np])
    assert hash_object(np.exp) != hash_object(np.log)
    rng = np.random.default_rng(0)
    before = hash_object(rng)
    rng.random()
    assert before != hash_object(rng)


def test_cached_functions_count_by_what_they_wrap():
    assert hash_object(functools.cache(adder(1))) == hash_object(functools.cache(adder(1)))
    assert hash_object(functools.cache(adder(1))) != hash_object(functools.cache(adder(2)))


def test_what_cannot_be_hashed_asks_for_a_version():
    net = Net(np.zeros(2))
    vars(net)["lock"] = threading.Lock()
    with pytest.raises(ConfigError) as caught:
        hash_object(net)
    assert "the model cannot be hashed" in str(caught.value)
    assert "_thread.lock" in str(caught.value)
    assert caught.value.tries[0][0] == 'version="1"'


SCRIPT = """
import numpy as np
from foretell.digest import hash_object
WEIGHTS = {"w": np.arange(6.0), "names": {"one", "two", "three", "four"}}
class Net:
    scale = 2.0
    def __init__(self, parts): self.parts = parts
    def __call__(self, x): return x * self.scale * WEIGHTS["w"]
print(hash_object(Net([WEIGHTS, (1, 2), lambda x: x + 1])))
"""


def test_a_live_object_hashes_the_same_in_every_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    runs = [
        subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert runs[0].startswith("sha256:")


def test_tensors_are_hashed_by_value_without_their_library():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    before = hash_object(net)
    assert before == hash_object(net)
    with torch.no_grad():
        net[0].bias[0] += 1
    assert before != hash_object(net)
