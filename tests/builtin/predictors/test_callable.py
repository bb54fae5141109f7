import functools
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from foretell.builtin.predictors.callable import CallableOptions, CallablePredictor
from foretell.errors import ConfigError, LoadError
from foretell.outputs import select
from foretell.rows import row_keys
from foretell.types import Batch

MODULE = """
from pathlib import Path
import numpy as np

def double(x):
    return 2 * x

def scaled(x, scale=1.0):
    return {"out": x * scale}

def power(x, exponent, checkpoint):
    return x ** exponent + float(Path(checkpoint).read_text())

def told(x, *, rows, mask, keys):
    return {"rows": rows, "mask": mask, "keys": keys[:, 0]}

def build(width=3, checkpoint=None):
    return lambda x: np.repeat(x, width, axis=1)

def nothing():
    return 1

class Net:
    made = 0
    def __init__(self, bias, checkpoint):
        type(self).made += 1
        self.weights = np.load(checkpoint)["w"]
        self.bias = bias
    def __call__(self, x, mask):
        return x @ self.weights + self.bias

class Broken:
    def __init__(self):
        raise OSError("no such device")

class Silent:
    pass

def to_floats(records):
    return np.array([[r["x"]] for r in records], dtype="float32")

def as_text(predictions):
    return [f"{value:.0f}" for value in predictions[:, 0]]

NOT_CALLABLE = 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.py").write_text(MODULE)
    (tmp_path / "offset.txt").write_text("10")
    np.savez(tmp_path / "weights.npz", w=np.eye(2, dtype="float32"))
    return tmp_path


@pytest.fixture
def make(folder):
    def make(**settings):
        return CallablePredictor.from_options(CallableOptions(**settings).at(folder))

    return make


def batch(inputs, real=None):
    n = len(inputs)
    mask = np.arange(n) < (n if real is None else real)
    rows = np.where(mask, np.arange(n) + 100, -1)
    return Batch(inputs, rows, mask, row_keys(0, rows))


X = np.arange(6, dtype="float32").reshape(3, 2)


def run(predictor, examples=X, real=None):
    model = predictor.load()
    made = batch(predictor.collate(examples), real)
    return predictor.postprocess(select(predictor.predict(model, made), made.mask))


def test_a_function_is_the_model(make):
    np.testing.assert_array_equal(run(make(model="model:double"))["output"], 2 * X)


def test_options_are_further_arguments_of_a_function(make):
    got = run(make(model="model:scaled", options={"scale": 3.0}))
    np.testing.assert_array_equal(got["out"], 3 * X)


def test_a_function_that_takes_a_checkpoint_is_given_its_path(make):
    got = run(make(model="model:power", checkpoint="offset.txt", options={"exponent": 2}))
    np.testing.assert_array_equal(got["output"], X**2 + 10)


def test_a_class_is_instantiated_once_with_options_and_checkpoint(make):
    predictor = make(model="model:Net", checkpoint="weights.npz", options={"bias": 1.0})
    model = predictor.load()
    for _ in range(3):
        np.testing.assert_array_equal(predictor.predict(model, batch(X)), X + 1)
    assert type(model.call).made == 1


def test_a_factory_is_called_once_and_returns_the_callable(make):
    got = run(make(model="model:build", factory=True, options={"width": 2}))
    assert got["output"].shape == (3, 4)


def test_rows_mask_and_keys_are_given_to_those_who_ask(make):
    got = run(make(model="model:told"), real=2)
    assert got["rows"].tolist() == [100, 101]
    assert got["mask"].tolist() == [True, True]
    np.testing.assert_array_equal(got["keys"], row_keys(0, np.array([100, 101]))[:, 0])


def test_the_first_parameter_is_the_batch_whatever_its_name():
    def model(rows):
        return rows

    predictor = CallablePredictor(CallableOptions(), model=model)
    np.testing.assert_array_equal(run(predictor)["output"], X)


def test_collate_and_postprocess(make):
    predictor = make(model="model:double", collate="model:to_floats", postprocess="model:as_text")
    assert run(predictor, [{"x": 1}, {"x": 2}, {"x": 3}], real=2) == {"output": ["2", "4"]}


def test_live_objects(folder):
    offset = 5.0
    predictor = CallablePredictor(
        CallableOptions(),
        model=lambda x: x + offset,
        collate=lambda examples: examples * 10,
        postprocess=lambda predictions: {"sum": predictions.sum(axis=1)},
    )
    np.testing.assert_array_equal(run(predictor)["sum"], (X * 10 + 5).sum(axis=1))
    assert CallablePredictor.recognises(lambda x: x)
    assert not CallablePredictor.recognises(X)
    built = CallablePredictor.from_live(CallableOptions(), model=functools.partial(np.add, 1))
    np.testing.assert_array_equal(run(built)["output"], X + 1)


def test_a_live_class_is_instantiated_like_an_imported_one():
    class Net:
        def __init__(self, bias=0):
            self.bias = bias

        def __call__(self, x):
            return x + self.bias

    predictor = CallablePredictor(CallableOptions(options={"bias": 4}), model=Net)
    np.testing.assert_array_equal(run(predictor)["output"], X + 4)


def test_tensors_are_accepted_without_an_import_of_their_library(make, folder):
    pytest.importorskip("torch")
    (folder / "net.py").write_text(
        "import torch\ndef net(x):\n    return {'y': torch.nn.Linear(2, 1)(torch.from_numpy(x))}\n"
    )
    from foretell.abc import DeployContext
    from foretell.builtin.deployers.local import LocalDeployer, LocalOptions

    predictor = make(model="net:net")
    deployment = LocalDeployer(LocalOptions()).deploy(predictor, DeployContext(batch_size=3))
    got = deployment.collect(deployment.launch(batch(X)))
    assert isinstance(got["y"], np.ndarray)
    assert got["y"].shape == (3, 1)
    deployment.close()


# --- what is refused -------------------------------------------------------------------------


def refused(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value).splitlines()


def test_no_model(make):
    assert refused(ConfigError, lambda: make()) == [
        "error[config-model]: the job names no model",
        "  missing   predictor.model",
        '  try       model = "module:function"      a function that takes a batch',
    ]


def test_missing_files_are_found_when_it_is_built(make, folder):
    assert refused(LoadError, lambda: make(model="modle:double"))[0] == (
        "error[load]: there is no module 'modle'"
    )
    refused(LoadError, lambda: make(model="model:double", collate="other:collate"))
    assert refused(LoadError, lambda: make(model="model:double", checkpoint="w.npz")) == [
        "error[load-checkpoint]: there is no checkpoint 'w.npz'",
        f"  looked at   {folder}/w.npz",
    ]


def test_options_that_do_not_fit(make):
    predictor = make(model="model:scaled", options={"scael": 1})
    assert refused(ConfigError, predictor.load) == [
        "error[config-options]: model:scaled cannot be called with the job's options",
        "  options     scael",
        "  signature   scaled(x, scale=1.0)",
        "  cause       got an unexpected keyword argument 'scael'",
        "  try         options = { scale = … }      instead of scael",
    ]
    refused(ConfigError, make(model="model:power", checkpoint="offset.txt").load)
    refused(ConfigError, make(model="model:Net", checkpoint="weights.npz").load)


def test_a_checkpoint_nobody_takes(make, folder):
    predictor = make(model="model:double", checkpoint="offset.txt")
    assert refused(ConfigError, predictor.load) == [
        "error[config-checkpoint]: model:double takes no checkpoint",
        f"  checkpoint   {folder}/offset.txt",
        "  signature    double(x)",
        "  try          add a parameter named checkpoint      it is given the file's path",
    ]


def test_a_function_without_a_batch(make):
    assert refused(ConfigError, make(model="model:nothing").load) == [
        "error[config-model]: model:nothing takes no batch",
        "  signature   nothing()",
        "  try         factory = true      when it returns the function that takes the batch",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "model:NOT_CALLABLE"}, "model:NOT_CALLABLE is not callable"),
        ({"model": "model:Silent"}, "what model:Silent gives is not callable"),
        ({"model": "model:nothing", "factory": True}, "what model:nothing gives is not callable"),
        ({"model": "model:Broken"}, "model:Broken could not be made"),
        ({"model": "model:double", "collate": "model:NOT_CALLABLE"}, "is not callable"),
        ({"model": "model:dobule"}, "model has no 'dobule'"),
    ],
)
def test_what_cannot_be_loaded(make, settings, message):
    with pytest.raises(LoadError, match=message):
        make(**settings).load()


# --- fingerprint -----------------------------------------------------------------------------


def test_the_fingerprint_follows_source_options_weights_and_version(make, folder):
    def parts(**settings):
        given = {"model": "model:Net", "checkpoint": "weights.npz", "options": {"bias": 1}}
        return make(**(given | settings)).fingerprint()

    base = parts()
    assert base == parts()
    assert set(base) == {"model", "model.source", "options", "checkpoint"}

    def changed(other):
        return {key for key in base | other if base.get(key) != other.get(key)}

    assert changed(parts(options={"bias": 2})) == {"options"}
    assert changed(parts(version="2")) == {"version"}
    assert changed(parts(collate="model:to_floats")) == {"collate", "collate.source"}
    assert changed(parts(factory=True)) == {"factory"}
    np.savez(folder / "weights.npz", w=np.ones((2, 2), dtype="float32"))
    assert changed(parts()) == {"checkpoint"}
    (folder / "model.py").write_text(MODULE + "\n# changed\n")
    assert changed(parts()) == {"checkpoint", "model.source"}


def test_the_fingerprint_imports_neither_model_nor_framework(folder):
    (folder / "heavy.py").write_text("raise RuntimeError('imported')\n")
    script = """
    import sys
    from foretell.builtin.predictors.callable import CallableOptions, CallablePredictor
    predictor = CallablePredictor(CallableOptions(model="heavy:Net").at(sys.argv[1]))
    print(predictor.fingerprint()["model"])
    heavy = {"torch", "jax", "zarr", "dask", "pyarrow", "transformers"} & set(sys.modules)
    assert not heavy, heavy
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("heavy:Net\n", "")


def test_live_objects_are_fingerprinted_by_state_or_version():
    def parts(model, **settings):
        return CallablePredictor(CallableOptions(**settings), model=model).fingerprint()

    assert parts(functools.partial(np.add, 1)) == parts(functools.partial(np.add, 1))
    assert parts(functools.partial(np.add, 1)) != parts(functools.partial(np.add, 2))
    lock = threading.Lock()
    with pytest.raises(ConfigError, match="cannot be hashed"):
        parts(functools.partial(np.add, lock))
    assert parts(functools.partial(np.add, lock), version="1")["version"] == "1"


def test_a_checkpoint_at_a_url_needs_a_version(make):
    settings = {"model": "model:build", "factory": True, "checkpoint": "s3://bucket/w.npz"}
    with pytest.raises(ConfigError, match="could not be noticed"):
        make(**settings).fingerprint()
    assert make(**settings, version="3").fingerprint()["checkpoint"] == "s3://bucket/w.npz"
