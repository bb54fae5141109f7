"""``Deployer`` and ``Predictor``: what somebody who comes from redco expects, and then more."""

from __future__ import annotations

import functools
import threading

import numpy as np
import pytest
from foretell.errors import ConfigError, ShapeMismatch, UsageError

COUNTS = (0, 1, 3, 8, 16, 17, 1000)
BATCHES = (1, 2, 7, 64)
SHARDS = (1, 2, 4, 8)


@functools.cache
def weights():
    rng = np.random.default_rng(0)
    return {
        "up": {"kernel": rng.normal(size=(6, 16)).astype(np.float32) / 3},
        "down": {"kernel": rng.normal(size=(16, 8)).astype(np.float32) / 4},
    }


@functools.cache
def examples(count):
    rows = np.random.default_rng(1).normal(size=(1000, 6)).astype(np.float32)
    return [{"x": row, "id": at} for at, row in enumerate(rows[:count])]


def collate(batch):
    return {"x": np.stack([example["x"] for example in batch])}


def dense(rng, params, batch):
    import jax.numpy as jnp

    hidden = jnp.tanh(batch["x"] @ params["up"]["kernel"])
    return {"y": hidden @ params["down"]["kernel"], "sums": (batch["x"].sum(1), hidden.max(1))}


def expected(rows):
    x = np.stack([row["x"] for row in rows])
    hidden = np.tanh(x @ weights()["up"]["kernel"])
    return hidden @ weights()["down"]["kernel"], x.sum(1), hidden.max(1)


def deployer(shards=1, seed=0, **more):
    from foretell_jax import Deployer

    return Deployer(jax_seed=seed, n_model_shards=shards, verbose=False, **more)


def predictor(shards=1, pred_fn=dense, collate_fn=collate, output_fn=None, rules="auto", seed=0):
    from foretell_jax import Predictor

    made = deployer(shards, seed)
    if rules == "auto":
        rules = made.get_sharding_rules(weights())
    return Predictor(made, collate_fn, pred_fn, output_fn, rules)


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("batch", BATCHES)
def test_predictions_equal_numpy_for_every_count(shards, batch):
    made = predictor(shards)
    for count in COUNTS:
        found = made.predict(examples(count), batch, weights())
        assert len(found) == count
        if count:
            y, total, top = expected(examples(count))
            np.testing.assert_allclose([f["y"] for f in found], y, rtol=0, atol=2e-6)
            np.testing.assert_allclose([f["sums"][0] for f in found], total, rtol=0, atol=2e-6)
            np.testing.assert_allclose([f["sums"][1] for f in found], top, rtol=0, atol=2e-6)
    assert made.compile_count == 1  # one shape of batch, whatever the number of rows


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda rows: (row for row in rows)])
def test_examples_may_be_anything_that_can_be_iterated(kind):
    found = predictor(2).predict(kind(examples(17)), 2, weights())
    np.testing.assert_allclose([f["y"] for f in found], expected(examples(17))[0], atol=2e-6)


def test_a_mapping_is_no_list_of_examples():
    with pytest.raises(UsageError, match="sequence of rows"):
        predictor().predict({"x": 1}, 2, weights())


def test_output_fn_sees_real_rows_alone_and_may_return_text():
    seen = []

    def words(preds):
        seen.append(len(preds["y"]))
        return [f"class {row.argmax()}" for row in preds["y"]]

    found = predictor(4, output_fn=words).predict(examples(17), 2, weights())
    assert found == [f"class {row.argmax()}" for row in expected(examples(17))[0]]
    assert sum(seen) == 17


def test_a_filtering_output_fn_is_refused():
    made = predictor(output_fn=lambda preds: [row for row in preds["y"] if row[0] > 0])
    with pytest.raises(ShapeMismatch) as caught:
        made.predict(examples(16), 2, weights())
    assert ("expected", "a list of 16") in caught.value.facts
    assert caught.value.facts[1][1].endswith(" items")


def test_a_wrong_number_of_rows_is_refused_with_expected_and_got():
    made = predictor(pred_fn=lambda rng, params, batch: {"y": batch["x"][:3]})
    with pytest.raises(ShapeMismatch) as caught:
        made.predict(examples(16), 2, {})
    assert ("expected", "16 rows") in caught.value.facts
    assert ("got", "shape (3, 6)") in caught.value.facts


def draw(rng, params, batch):
    import jax

    return batch["x"][:, 0] + jax.random.normal(rng, (len(batch["x"]),))


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_random_predictions_depend_on_nothing_but_seed_and_row(shards, batch):
    found = predictor(shards, draw, rules=None, seed=7).predict(examples(19), batch, {})
    np.testing.assert_array_equal(found, reference_draw())
    assert len(set(np.array(found) - [e["x"][0] for e in examples(19)])) == 19


@functools.cache
def reference_draw():
    return np.array(predictor(1, draw, rules=None, seed=7).predict(examples(19), 5, {}))


def test_another_seed_and_another_call_draw_anew():
    made = predictor(1, draw, rules=None, seed=7)
    first = made.predict(examples(19), 5, {})
    assert not np.allclose(first, made.predict(examples(19), 5, {}))
    assert not np.allclose(
        first, predictor(1, draw, rules=None, seed=8).predict(examples(19), 5, {})
    )


@pytest.mark.parametrize("shards", SHARDS)
def test_an_operator_without_a_rule_for_batches_works(shards):
    import jax

    def callback(rng, params, batch):
        noise = jax.random.normal(rng, batch["x"].shape)
        shape = jax.ShapeDtypeStruct(noise.shape, noise.dtype)
        return jax.pure_callback(lambda x: np.asarray(x) * 2, shape, noise)

    def plain(rng, params, batch):
        return jax.random.normal(rng, batch["x"].shape) * 2

    got = predictor(shards, callback, rules=None).predict(examples(11), 1, {})
    want = predictor(shards, plain, rules=None).predict(examples(11), 1, {})
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_a_function_that_only_splits_its_key_is_called_on_the_whole_batch():
    import jax

    shapes = []

    def idle(rng, params, batch):
        jax.random.split(rng)
        shapes.append(batch["x"].shape)
        return batch["x"].sum(1)

    predictor(1, idle, rules=None).predict(examples(16), 2, {})
    assert set(shapes) == {(16, 6)}


def test_a_function_without_rng_will_do():
    found = predictor(2, lambda params, batch: batch["x"].sum(1), rules=None).predict(
        examples(5), 1, {}
    )
    np.testing.assert_allclose(found, expected(examples(5))[1], atol=2e-6)


def test_a_second_tree_of_parameters_and_a_second_batch_size_compile_visibly():
    made = predictor(2, rules=None)
    first = made.predict(examples(9), 2, weights())
    assert made.compile_count == 1
    doubled = {name: {"kernel": part["kernel"] * 2} for name, part in weights().items()}
    assert not np.allclose(made.predict(examples(9), 2, doubled)[0]["y"], first[0]["y"])
    assert made.compile_count == 1  # same shapes, same program
    made.predict(examples(9), 3, weights())
    assert made.compile_count == 2
    made.predict(examples(9), 2, {**weights(), "extra": np.zeros(3, np.float32)})
    assert made.compile_count == 3
    assert made.compile_seconds > 0


def test_parameters_may_be_replicated_or_sharded_already():
    import jax

    made = predictor(1, rules=None)
    want = made.predict(examples(9), 2, weights())
    stacked = jax.tree.map(lambda w: np.stack([w] * jax.local_device_count()), weights())
    for params, how in ((stacked, "params_replicated"), (weights(), "params_replicated")):
        got = made.predict(examples(9), 2, params, **{how: True})
        np.testing.assert_array_equal([g["y"] for g in got], [w["y"] for w in want])
    two = predictor(2)
    rules = two._deployer.get_sharding_rules(weights())
    spec = two._deployer.get_params_spec(weights(), rules)
    placed = two._deployer.shard_params(weights(), spec)
    assert not placed["up"]["kernel"].sharding.is_fully_replicated
    got = two.predict(examples(9), 2, placed, params_sharded=True)
    np.testing.assert_allclose([g["y"] for g in got], [w["y"] for w in want], atol=2e-6)


def test_a_stream_holds_a_few_windows_and_no_more():
    taken = []

    def endless():
        for at in range(10**9):
            taken.append(at)
            yield examples(1000)[at % 1000]

    stream = predictor(1).stream(endless(), 1, weights())
    found = [next(stream) for _ in range(40)]
    assert len(taken) <= 40 + 4 * 8
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("foretell-jax")]
    np.testing.assert_allclose([f["y"] for f in found], expected(examples(40))[0], atol=2e-6)


def test_a_stream_can_say_which_rows_it_yields():
    found = list(predictor(4).stream(examples(19), 2, weights(), indices=True))
    assert [at for at, _ in found] == list(range(19))


def test_an_error_of_collate_comes_through_and_the_next_call_works():
    def picky(batch):
        if any(example["id"] == 33 for example in batch):
            raise ValueError("planted")
        return collate(batch)

    made = predictor(1, collate_fn=picky)
    with pytest.raises(ValueError, match="planted"):
        made.predict(examples(64), 1, weights())
    assert len(made.predict(examples(20), 1, weights())) == 20


def test_inputs_that_are_no_rows_of_numbers_are_named():
    texts = predictor(collate_fn=lambda rows: {"x": np.array(["a"] * len(rows))})
    with pytest.raises(ShapeMismatch, match="numbers alone"):
        texts.predict(examples(8), 1, weights())
    short = predictor(collate_fn=lambda rows: {"x": np.zeros((3, 6), np.float32)})
    with pytest.raises(ShapeMismatch) as caught:
        short.predict(examples(8), 1, weights())
    assert ("input", "['x']") in caught.value.facts


def test_integers_that_do_not_fit_are_refused_not_wrapped():
    made = predictor(
        pred_fn=lambda params, batch: batch["n"],
        collate_fn=lambda rows: {"n": np.array([2**40 + row["id"] for row in rows])},
        rules=None,
    )
    with pytest.raises(ShapeMismatch, match="32 bits"):
        made.predict(examples(8), 1, {})


def test_numbers_of_devices_that_do_not_divide_are_named():
    with pytest.raises(ConfigError) as caught:
        deployer(3)
    assert ("devices", "8") in caught.value.facts


def test_rules_are_checked_before_anything_runs():
    made = predictor(2, rules=[(("up", "kernel"), (None, "mp"))])
    with pytest.raises(ConfigError, match="no sharding rule"):
        made.setup_running_step(collate(examples(8)), weights())


def test_the_deployer_keeps_what_redco_promises():
    import jax

    made = deployer(2)
    assert dict(made.mesh.shape) == {"dp": 4, "mp": 2}
    assert dict(deployer(1).mesh.shape) == {"dp": 8, "mp": 1}
    assert made.get_local_global_micro_batch_size(3) == (12, 12)
    assert deployer(1).get_sharding_rules(weights()) is None
    rules = made.get_sharding_rules(weights())
    P = jax.sharding.PartitionSpec
    assert (("down", "kernel"), P("mp", None)) in rules
    assert made.get_params_spec(weights(), None)["up"]["kernel"] == P()
    first, second = made.gen_rng(), made.gen_model_step_rng()
    assert not np.array_equal(first, second)
    assert made.run_model_step(lambda a, b: a + b, (1, 2)) == 3


def test_batches_for_a_loop_of_ones_own():
    made = deployer(2)
    with pytest.warns(UserWarning, match="1 of 17 examples"):
        batches = list(
            made.get_model_input_batches(
                examples(17), 2, collate, shuffle=False, shuffle_rng=None, desc="x"
            )
        )
    assert [len(batch["x"]) for batch in batches] == [8, 8]
    key = made.gen_rng()
    shuffled = list(
        made.get_model_input_batches(
            examples(16), 2, collate, shuffle=True, shuffle_rng=key, desc="x"
        )
    )
    order = np.concatenate([batch["x"] for batch in shuffled])
    assert not np.array_equal(order, np.stack([e["x"] for e in examples(16)]))
    assert set(map(tuple, order)) == {tuple(e["x"]) for e in examples(16)}


def test_a_checkpoint_goes_round(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    import jax

    made = deployer(2, workdir=tmp_path)
    assert made.load_last_ckpt() == (None, None)
    state = {"count": np.int32(3), "mu": weights()}
    made.save_ckpt(tmp_path / "ckpts" / "one", weights(), state, epoch=4)
    rules = made.get_sharding_rules(weights())
    found, info = deployer(2, seed=5, workdir=tmp_path).load_last_ckpt(rules)
    assert info["epoch"] == 4
    assert not found["params"]["up"]["kernel"].sharding.is_fully_replicated
    jax.tree.map(np.testing.assert_array_equal, found["params"], weights())
    jax.tree.map(np.testing.assert_array_equal, found["opt_state"], state)
    other = deployer(2, seed=5, workdir=tmp_path)
    found, _ = other.load_ckpt(
        tmp_path / "ckpts" / "one",
        rules,
        float_dtype="bfloat16",
        update_rng=True,
        load_opt_state=False,
    )
    assert found["opt_state"] is None
    assert found["params"]["up"]["kernel"].dtype == "bfloat16"
    np.testing.assert_array_equal(other.gen_rng(), made.gen_rng())
    assert not list(tmp_path.rglob("*.pkl"))
