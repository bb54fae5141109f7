"""Greedy text of every target is the eager model's, for any prompt, batch and length."""

import functools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
import torch
from decoders import gpt2, jax_decoder, numpy_decoder
from foretell_accelerator import registry
from foretell_accelerator.artifact import load
from foretell_accelerator.compiling import Recipe, build
from foretell_accelerator.decoding import programs
from foretell_accelerator.decoding.decoder import Decoder
from foretell_accelerator.decoding.door import driven
from foretell_accelerator.decoding.loop import (
    Generator,
    Limits,
    Request,
    fitting_length,
)
from foretell_accelerator.decoding.sampling import (
    Sampling,
    choose,
    log_probability,
    probabilities,
    stream,
)
from foretell_accelerator.errors import CompileError
from foretell_accelerator.loading import attached
from hypothesis import given
from hypothesis import strategies as st
from reference import greedy, plain_logits, torch_logits

MOST = 6
CLOSE = 1e-3
"""Rows whose two best logits come closer than this at any step may differ."""

KEY = np.array([1, 2], dtype=np.uint32)


def prompts(count, longest):
    random = np.random.default_rng(count)
    return [random.integers(0, 256, 1 + i % longest).tolist() for i in range(count)]


def made(tmp_path_factory, model, target, lengths, sizes, cache):
    if reason := registry.target(target).usable():
        pytest.skip(f"{target}: {reason}")
    grid = programs.Grid(lengths, sizes, cache, 257)
    recipe = Recipe(target, device=registry.target(target).devices[0], decoder={"lengths": lengths})
    planned = programs.plan(model, grid)
    if target == "torch":
        return attached(planned, recipe, 2)
    folder = tmp_path_factory.mktemp(target) / "artifact"
    build(planned, folder, "decoder", recipe)
    return load(folder, model=model, threads=2)


@functools.cache
def reference(kind, prompt, most, longest):
    logits = torch_logits(gpt2()) if kind == "torch" else plain_logits(numpy_decoder)
    return greedy(logits, prompt, most, longest=longest)


def check(artifact, kind, texts, most=MOST):
    """Compare with the reference; how many rows were too close to call."""
    decoder = Decoder(artifact)
    generator = Generator(decoder, Sampling(), Limits(most, (256,)))
    results = generator.generate([Request(text, KEY) for text in texts])
    close = 0
    for text, result in zip(texts, results, strict=True):
        length = fitting_length(len(text), most, decoder.lengths)
        expected, margin = reference(kind, tuple(text), most, length)
        if margin > CLOSE:
            assert result.tokens == expected, f"prompt of {len(text)} tokens"
            assert result.margin == pytest.approx(margin, rel=1e-2, abs=1e-3)
        else:
            close += 1
    print(f"{artifact.manifest.target}: {close} of {len(texts)} prompts too close to call")
    assert close <= max(1, len(texts) // 10)


@pytest.mark.parametrize(
    ("target", "lengths", "sizes", "cache"),
    [
        ("torch", (16, 32), (1, 4), True),
        ("torch", (16, 32), (4,), False),
        ("openvino", (8,), (4,), True),
        ("openvino", (8,), (4,), False),
        ("onnxruntime", (8, 16), (4,), True),
        ("onnxruntime", (16,), (4,), False),
        ("aot-inductor", (8,), (4,), True),
    ],
)
def test_greedy_text_is_the_eager_models(tmp_path_factory, target, lengths, sizes, cache):
    artifact = made(tmp_path_factory, gpt2(), target, lengths, sizes, cache)
    # Every length of prompt, batches of one, full batches and short tails.
    check(artifact, "torch", prompts(lengths[-1], lengths[-1]))
    check(artifact, "torch", prompts(1, 1))
    artifact.close()


@pytest.mark.parametrize("lengths", [(8, 16)])
@pytest.mark.usefixtures("eight_devices")
def test_a_jax_decoder_is_the_same_exported(tmp_path_factory, lengths):
    artifact = made(tmp_path_factory, jax_decoder, "jax-export", lengths, (4,), False)
    check(artifact, "jax", prompts(lengths[-1], lengths[-1]))
    artifact.close()


def test_the_vendors_stand_in_agrees(tmp_path_factory, standin):
    artifact = made(tmp_path_factory, gpt2(), "sambaflow", (16,), (4,), False)
    check(artifact, "torch", prompts(16, 16))
    shapes = [spec[1:] for spec in artifact.runner(artifact.programs[0])._traced.schema if spec]
    assert shapes == [
        ["torch.int32", [4, 16]],
        ["torch.float32", [4, 1, 16]],
        ["torch.int16", [4, 16]],
    ]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", ["torch", "openvino", "onnxruntime", "aot-inductor"])
@pytest.mark.parametrize("cache", [True, False])
def test_greedy_text_at_full_lengths(tmp_path_factory, target, cache):
    artifact = made(tmp_path_factory, gpt2(), target, (64, 128), (1, 8), cache)
    check(artifact, "torch", prompts(128, 128), most=12)
    for prompt in prompts(128, 128)[::16]:
        check(artifact, "torch", [prompt], most=12)
    artifact.close()


@pytest.mark.slow
@pytest.mark.usefixtures("eight_devices")
def test_a_jax_decoder_at_full_lengths(tmp_path_factory):
    artifact = made(tmp_path_factory, jax_decoder, "jax-export", (64, 128), (1, 8), False)
    check(artifact, "jax", prompts(128, 128), most=12)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_vendors_stand_in_at_full_lengths(tmp_path_factory, standin):
    artifact = made(tmp_path_factory, gpt2(), "sambaflow", (64, 128), (1, 8), False)
    check(artifact, "torch", prompts(128, 128), most=12)
    for prompt in prompts(128, 128)[::16]:
        check(artifact, "torch", [prompt], most=12)


@pytest.fixture(scope="module")
def eager(tmp_path_factory):
    return made(tmp_path_factory, gpt2(), "torch", (16, 32), (4,), True)


def texts_of(artifact, requests, sampling=None, most=MOST, stops=()):
    generator = Generator(Decoder(artifact), sampling or Sampling(), Limits(most, stops))
    return [result.tokens for result in generator.generate(requests)]


def test_sampled_text_depends_on_its_rows_key_and_on_nothing_else(eager):
    texts = prompts(9, 12)
    keys = np.random.default_rng(0).integers(0, 2**32, (9, 2), dtype=np.uint32)
    requests = [Request(text, key) for text, key in zip(texts, keys, strict=True)]
    sampling = Sampling(draw=True, temperature=2.0, top_k=50, top_p=0.95)
    together = texts_of(eager, requests, sampling)
    assert together == texts_of(eager, requests, sampling)
    assert together[::-1] == texts_of(eager, requests[::-1], sampling)
    assert together == [texts_of(eager, [request], sampling)[0] for request in requests]
    others = [Request(text, key + 1) for text, key in zip(texts, keys, strict=True)]
    assert together != texts_of(eager, others, sampling)
    assert together != texts_of(eager, requests)


def test_text_ends_at_a_stop_token_at_the_limit_or_where_room_ends(eager):
    decoder = Decoder(eager)
    (plain,) = texts_of(eager, [Request([65, 66], KEY)], most=8)
    place = next(i for i, token in enumerate(plain) if token not in plain[:i] and i > 0)
    generator = Generator(decoder, Sampling(), Limits(8, (plain[place],)))
    (stopped,) = generator.generate([Request([65, 66], KEY)])
    assert (stopped.tokens, stopped.finish) == (plain[: place + 1], "stop")
    (limited,) = Generator(decoder, Sampling(), Limits(3)).generate([Request([65], KEY)])
    assert (len(limited.tokens), limited.finish) == (3, "length")
    (full,) = Generator(decoder, Sampling(), Limits(8)).generate([Request([65] * 30, KEY)])
    assert (len(full.tokens), full.finish) == (3, "room")
    for wrong in ([], [65] * 33):
        with pytest.raises(ValueError, match="1 to 32 are possible"):
            generator.generate([Request(wrong, KEY)])


def test_log_probabilities_are_the_models(eager):
    generator = Generator(Decoder(eager), Sampling(), Limits(4))
    (result,) = generator.generate([Request([72, 105], KEY)])
    model = gpt2()
    with torch.no_grad():
        logits = model(torch.tensor([[72, 105, *result.tokens]])).logits[0, 1:-1]
    expected = logits.log_softmax(-1)[range(4), result.tokens]
    np.testing.assert_allclose(result.logprobs, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_figures_of_speed(eager):
    generator = Generator(Decoder(eager), Sampling(), Limits(4))
    generator.generate([Request([72], KEY)] * 6)
    figures: Any = generator.speed.to_json()
    assert (figures["prompts"], figures["tokens"]) == (6, 24)
    assert figures["tokens_per_second"] > 0
    assert figures["time_to_first_token"] > 0


def test_transformers_own_generate_runs_on_an_artifact(tmp_path_factory):
    model = gpt2()
    artifact = made(tmp_path_factory, model, "onnxruntime", (32,), (2,), False)
    ids = torch.tensor([[72, 105, 33], [65, 66, 67]])
    given = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 256}
    mask = torch.ones_like(ids)
    expected = model.generate(ids, attention_mask=mask, **given)
    before = model.forward
    beams = model.generate(ids, attention_mask=mask, num_beams=2, **given)
    with driven(model, artifact):
        assert torch.equal(model.generate(ids, attention_mask=mask, **given), expected)
        found = model.generate(ids, attention_mask=mask, num_beams=2, **given)
    assert torch.equal(found, beams)
    assert model.forward == before
    with driven(model, artifact), pytest.raises(Exception, match="longer than the artifact"):
        model.generate(torch.ones((1, 40), dtype=torch.long), **given)


def test_what_cannot_keep_a_cache_says_which(tmp_path_factory):
    sambaflow = registry.target("sambaflow")
    with pytest.raises(CompileError, match="cannot feed outputs back"):
        programs.wants_cache(gpt2(), sambaflow, True)
    with pytest.raises(CompileError, match="takes no cache"):
        programs.wants_cache(jax_decoder, registry.target("jax-export"), True)
    assert programs.wants_cache(gpt2(), registry.target("openvino"), None)
    assert not programs.wants_cache(gpt2(), registry.target("openvino"), False)


# --- the law of choosing ----------------------------------------------------------------------

LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=40).map(
    lambda values: np.array(values, dtype=np.float32)
)


@given(LOGITS, st.integers(1, 40), st.floats(0.05, 1.0), st.floats(0.1, 5.0), st.integers(0, 99))
def test_what_is_drawn_is_among_the_likeliest(logits, top_k, top_p, temperature, seed):
    sampling = Sampling(True, temperature, top_k, top_p)
    token = choose(logits, sampling, stream(np.array([seed, 0], dtype=np.uint32)))
    above = int((logits > logits[token]).sum())
    assert above < top_k
    likely = np.sort(probabilities(np.sort(logits)[::-1][:top_k] / temperature))[::-1]
    assert likely[:above].sum() <= top_p + 1e-9
    assert log_probability(logits, token) <= 1e-9


@given(LOGITS)
def test_the_likeliest_one_is_the_greedy_choice(logits):
    greedy_choice = choose(logits, Sampling(), stream(KEY))
    drawn = choose(logits, Sampling(True, top_k=1), stream(KEY))
    assert logits[greedy_choice] == logits[drawn] == logits.max()


def test_draws_follow_the_probabilities():
    logits = np.log(np.array([0.5, 0.3, 0.2], dtype=np.float32))
    drawn = [
        choose(logits, Sampling(True), stream(np.array([i, 9], dtype=np.uint32)))
        for i in range(4000)
    ]
    np.testing.assert_allclose(np.bincount(drawn) / 4000, [0.5, 0.3, 0.2], atol=0.03)


@given(st.integers(1, 200), st.integers(1, 50), st.sets(st.integers(1, 128), min_size=1))
def test_the_smallest_length_that_fits_is_used(prompt, most, lengths):
    known = sorted(lengths)
    found = fitting_length(prompt, most, known)
    holding = [length for length in known if prompt + most - 1 <= length]
    if holding:
        assert found == holding[0]
    else:
        assert found == (known[-1] if prompt <= known[-1] else None)
