"""A backend does what autograd does on the concatenated batch, and nothing else."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from foretell_experts import (
    BatchTensorDescriptor,
    ExpertBackend,
    ModuleBackend,
    PoolError,
    Runtime,
    TaskRefused,
)
from torch import nn

BOUND = 5.0
ROW = BatchTensorDescriptor(6)
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7}


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Mixed(nn.Module):
    """Several inputs, one of integers; a nest of outputs, one of which no gradient reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 6)
        self.linear = nn.Linear(6, 4)

    def forward(self, x: Any, word: Any, *, scale: Any) -> Any:
        mixed = self.linear(x + self.embedding(word)) * scale
        return {"y": mixed, "parts": [mixed.sum(1), (mixed > 0).long()]}


class KeywordsOnly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 2)

    def forward(self, *, right: Any, left: Any) -> Any:
        return self.linear(left - right)


def seeded(make: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make()


def random(*shape: int, seed: int = 0) -> Any:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 0.5


def parameters(module: nn.Module) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def assert_same_parameters(first: nn.Module, second: nn.Module) -> None:
    expected = parameters(second)
    for name, value in parameters(first).items():
        torch.testing.assert_close(value, expected[name], **CLOSE)


def optimizers() -> list[Any]:
    return [
        pytest.param(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), id="sgd"),
        pytest.param(lambda p: torch.optim.Adam(p, lr=0.01), id="adam"),
    ]


@pytest.mark.parametrize("optimizer", optimizers())
@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("scheduled", [False, True])
def test_backward_is_autograd_on_the_concatenated_batch(optimizer, clip, scheduled):
    network, reference = seeded(Network), seeded(Network)
    opt, ref_opt = optimizer(network.parameters()), optimizer(reference.parameters())

    def decaying(opt: Any) -> Any:
        return torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)

    backend = ExpertBackend(
        "net",
        network,
        opt,
        args_schema=(ROW,),
        schedule=decaying if scheduled else None,
        clip_grad_norm=clip,
    )
    ref_schedule = decaying(ref_opt) if scheduled else None
    for step in range(3):
        xs = [random(size, 6, seed=10 * step + size) for size in (1, 4, 3)]
        grads = [random(len(x), 3, seed=99 + len(x)) for x in xs]
        tasks = [backend.backward_pool.submit_task(x, g) for x, g in zip(xs, grads, strict=True)]
        with Runtime({"again": _Once(backend)}):
            got = torch.cat([task.result(BOUND)[0] for task in tasks])
        backend = _revived(backend)
        x = torch.cat(xs).requires_grad_()
        reference(x).backward(torch.cat(grads))
        torch.testing.assert_close(got, x.grad, **CLOSE)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(reference.parameters(), clip)
        ref_opt.step()
        ref_opt.zero_grad()
        if ref_schedule is not None:
            ref_schedule.step()
        assert_same_parameters(network, reference)
    assert backend.update_count == 3
    assert backend.examples_processed == 24
    assert opt.param_groups[0]["lr"] == pytest.approx(ref_opt.param_groups[0]["lr"])


class _Once:
    """A backend's pools, for one runtime."""

    def __init__(self, backend: Any) -> None:
        self._pools = backend.get_pools()

    def get_pools(self) -> Any:
        return self._pools


def _revived(backend: Any) -> Any:
    """The same backend with new pools: those of a runtime that was shut down stay closed."""
    fresh = ExpertBackend(
        backend.name,
        backend.expert,
        backend.opt,
        args_schema=backend.args_schema,
        kwargs_schema=backend.kwargs_schema,
        schedule=backend.schedule,
        clip_grad_norm=backend.clip_grad_norm,
    )
    fresh.set_extra_state(backend.get_extra_state())
    return fresh


def test_forward_is_the_expert_without_gradients():
    network = seeded(Network)
    backend = ExpertBackend("net", network, args_schema=(ROW,), max_batch_size=16)
    with Runtime({"net": backend}), ThreadPoolExecutor(8) as threads:
        xs = [random(1 + at % 5, 6, seed=at) for at in range(40)]
        futures = list(threads.map(lambda x: backend.forward_pool.submit_task(x), xs))
        for x, future in zip(xs, futures, strict=True):
            (y,) = future.result(BOUND)
            assert not y.requires_grad
            torch.testing.assert_close(y, network(x).detach(), rtol=1e-5, atol=1e-6)
    assert backend.forward_pool.figures()["batches"] <= 40


def mixed_backend(**options: Any) -> tuple[ExpertBackend, Mixed, Mixed]:
    module, reference = seeded(Mixed), seeded(Mixed)
    assert isinstance(module, Mixed)
    assert isinstance(reference, Mixed)
    backend = ExpertBackend(
        "mixed",
        module,
        torch.optim.SGD(module.parameters(), lr=0.1),
        args_schema=(ROW, BatchTensorDescriptor(dtype=torch.int64)),
        kwargs_schema={"scale": BatchTensorDescriptor(1)},
        **options,
    )
    return backend, module, reference


def test_several_inputs_integers_among_them():
    backend, module, reference = mixed_backend()
    x, scale = random(5, 6), random(5, 1, seed=3)
    word = torch.tensor([1, 2, 3, 2, 9])
    grad_parts, grad_y = [random(5, seed=4), torch.zeros(5, 4).long()], random(5, 4, seed=5)
    with Runtime({"mixed": backend}):
        # The leaves of the outputs in order: parts before y.
        flat = backend.forward_pool.submit_task(x, word, scale).result(BOUND)
        wanted = reference(x, word, scale=scale)
        torch.testing.assert_close(flat[0], wanted["parts"][0].detach())
        assert torch.equal(flat[1], wanted["parts"][1])
        torch.testing.assert_close(flat[2], wanted["y"].detach())
        grads = backend.backward_pool.submit_task(x, word, scale, *grad_parts, grad_y)
        grad_x, grad_word, grad_scale = grads.result(BOUND)
    opt = torch.optim.SGD(reference.parameters(), lr=0.1)
    x.requires_grad_()
    scale.requires_grad_()
    wanted = reference(x, word, scale=scale)
    torch.autograd.backward([wanted["parts"][0], wanted["y"]], [grad_parts[0], grad_y])
    opt.step()
    torch.testing.assert_close(grad_x, x.grad, **CLOSE)
    torch.testing.assert_close(grad_scale, scale.grad, **CLOSE)
    assert torch.equal(grad_word, torch.zeros(5, dtype=torch.int64))
    assert_same_parameters(module, reference)


def test_modules_with_keywords_only():
    module, reference = seeded(KeywordsOnly), seeded(KeywordsOnly)
    backend = ExpertBackend(
        "keywords",
        module,
        torch.optim.SGD(module.parameters(), lr=0.1),
        kwargs_schema={"right": ROW, "left": ROW},
    )
    assert backend.get_info()["keyword_names"] == ("right", "left")
    left, right, grad = random(3, 6), random(3, 6, seed=1), random(3, 2, seed=2)
    with Runtime({"keywords": backend}):
        # Keyword arguments travel by sorted name.
        (y,) = backend.forward_pool.submit_task(left, right).result(BOUND)
        torch.testing.assert_close(y, reference(left=left, right=right).detach())
        grads = backend.backward_pool.submit_task(left, right, grad).result(BOUND)
    left.requires_grad_()
    right.requires_grad_()
    reference(left=left, right=right).backward(grad)
    torch.testing.assert_close(grads[0], left.grad, **CLOSE)
    torch.testing.assert_close(grads[1], right.grad, **CLOSE)


def test_without_an_optimizer_it_serves_forward_only():
    backend = ExpertBackend("fixed", seeded(Network), args_schema=(ROW,))
    assert backend.get_pools() == (backend.forward_pool,)
    with pytest.raises(PoolError, match="serves forward only"):
        _ = backend.backward_pool
    with pytest.raises(PoolError, match="serves forward only"):
        backend.backward(random(2, 6), random(2, 3))


def test_a_failed_backward_leaves_no_gradient_behind():
    class Picky(Network):
        def forward(self, x: Any) -> Any:
            if (x > 10).any():
                raise ValueError("too large")
            return super().forward(x)

    network, reference = seeded(Picky), seeded(Picky)
    backend = ExpertBackend(
        "picky", network, torch.optim.SGD(network.parameters(), lr=0.1), args_schema=(ROW,)
    )
    x, grad = random(2, 6), random(2, 3, seed=1)
    bad = backend.backward_pool.submit_task(x + 20, grad)
    good = backend.backward_pool.submit_task(x, grad)
    with Runtime({"picky": backend}):
        with pytest.raises(ValueError, match="too large"):
            bad.result(BOUND)
        good.result(BOUND)
    reference(x).backward(grad)
    torch.optim.SGD(reference.parameters(), lr=0.1).step()
    assert_same_parameters(network, reference)
    assert backend.update_count == 1


def test_a_batch_whose_step_failed_is_not_computed_again():
    calls = []

    class Broken(torch.optim.SGD):  # type: ignore[name-defined] # torch's types are not followed
        def step(self, closure: Any = None) -> Any:
            calls.append(1)
            raise RuntimeError("the step failed")

    network = seeded(Network)
    backend = ExpertBackend(
        "broken", network, Broken(network.parameters(), lr=0.1), args_schema=(ROW,)
    )
    futures = [backend.backward_pool.submit_task(random(1, 6), random(1, 3)) for _ in range(4)]
    with Runtime({"broken": backend}):
        for future in futures:
            with pytest.raises(RuntimeError, match="the step failed"):
                future.result(BOUND)
    assert len(calls) == 1


def test_the_output_schema_is_learnt_and_leaves_no_trace():
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(6)

        def forward(self, x: Any) -> Any:
            return self.norm(x), x[:, 0].long()

    module = Counting().train()
    before = copy.deepcopy(module.state_dict())
    backend = ExpertBackend("counting", module, args_schema=(ROW,))
    assert backend.outputs_schema == (
        BatchTensorDescriptor(6),
        BatchTensorDescriptor(dtype=torch.int64),
    )
    assert module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


def test_refusals():
    with pytest.raises(ValueError, match="at least one tensor"):
        ExpertBackend("empty", seeded(Network))
    with pytest.raises(ValueError, match="no optimizer"):
        ExpertBackend("late", seeded(Network), args_schema=(ROW,), schedule=lambda opt: None)
    backend = ExpertBackend("net", seeded(Network), args_schema=(ROW,))
    with pytest.raises(TaskRefused, match=r"expected +float32 \(rows, 6\)"):
        backend.forward_pool.submit_task(torch.zeros(1, 5))
    assert ModuleBackend is ExpertBackend


def test_outputs_of_another_structure_fail_their_batch():
    network = seeded(Network)
    schema = (BatchTensorDescriptor(3), BatchTensorDescriptor(3))
    backend = ExpertBackend("wrong", network, args_schema=(ROW,), outputs_schema=schema)
    future = backend.forward_pool.submit_task(random(1, 6))
    with Runtime({"wrong": backend}), pytest.raises(PoolError, match="another structure"):
        future.result(BOUND)
