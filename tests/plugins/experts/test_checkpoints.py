"""Checkpoints bring everything back, and run no code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
from foretell.errors import LoadError
from foretell_experts import BatchTensorDescriptor, ExpertBackend
from foretell_experts.modules import load_module, read_weights
from torch import nn

ROW = BatchTensorDescriptor(4)


def make(seed: int, **options: Any) -> ExpertBackend:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    opt = torch.optim.AdamW(network.parameters(), lr=0.01)
    chosen = {"schedule": lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, 10)}
    return ExpertBackend("net", network, opt, args_schema=(ROW,), **(chosen | options))


def train(backend: ExpertBackend, steps: int) -> list[Any]:
    generator = torch.Generator().manual_seed(7)
    found: list[Any] = []
    for _ in range(steps):
        x = torch.rand(5, 4, generator=generator)
        found += backend.backward(x, torch.rand(5, 2, generator=generator))
    return found


def test_a_restored_backend_goes_on_as_the_other_would_have(tmp_path: Path):
    first, second = make(0), make(1)
    train(first, 3)
    first.save_checkpoint(tmp_path / "net.safetensors")
    second.load_checkpoint(tmp_path / "net.safetensors")
    assert (second.update_count, second.examples_processed) == (3, 15)
    assert second.opt is not None
    assert first.opt is not None
    for mine, other in zip(train(first, 4), train(second, 4), strict=True):
        assert torch.equal(mine, other)
    for name, value in first.expert.state_dict().items():
        assert torch.equal(value, second.expert.state_dict()[name])
    assert first.opt.param_groups[0]["lr"] == second.opt.param_groups[0]["lr"]
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_state_dict_carries_the_counters():
    first, second = make(0), make(1)
    train(first, 2)
    second.load_state_dict(first.state_dict())
    assert (second.update_count, second.examples_processed) == (2, 10)


def test_without_an_optimizer(tmp_path: Path):
    backend = make(0)
    bare = ExpertBackend("bare", backend.expert, args_schema=(ROW,))
    bare.save_checkpoint(tmp_path / "bare.safetensors")
    with pytest.raises(LoadError, match="only one of checkpoint and expert has an optimizer"):
        backend.load_checkpoint(tmp_path / "bare.safetensors")
    bare.load_checkpoint(tmp_path / "bare.safetensors")


def test_another_experts_checkpoint_changes_nothing(tmp_path: Path):
    backend = make(0)
    backend.save_checkpoint(tmp_path / "net.safetensors")
    other = nn.Linear(4, 2)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    stranger = ExpertBackend(
        "other", other, torch.optim.SGD(other.parameters(), lr=0.1), args_schema=(ROW,)
    )
    with pytest.raises(LoadError, match="the weights are not this module's"):
        stranger.load_checkpoint(tmp_path / "net.safetensors")
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_a_file_that_is_none_is_refused(tmp_path: Path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(LoadError, match="cannot be read"):
        make(0).load_checkpoint(path)
    with pytest.raises(LoadError, match="cannot be read"):
        make(0).load_checkpoint(tmp_path / "absent.safetensors")


def test_a_plain_safetensors_file_is_no_backends_checkpoint(tmp_path: Path):
    from safetensors.torch import save_file

    backend = make(0)
    save_file(backend.expert.state_dict(), tmp_path / "plain.safetensors")
    with pytest.raises(LoadError, match="no checkpoint of an expert"):
        backend.load_checkpoint(tmp_path / "plain.safetensors")


class Evil:
    def __reduce__(self) -> Any:
        return (open, (str(Path(__file__).parent / "must-not-exist"), "w"))


def test_pickled_code_is_never_run(tmp_path: Path):
    path = tmp_path / "evil.pt"
    torch.save({"weight": Evil()}, path)
    with pytest.raises(LoadError, match="so it was not loaded"):
        read_weights(path)
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(LoadError, match="so it was not loaded"):
        read_weights(tmp_path / "bare.pt")
    assert not (Path(__file__).parent / "must-not-exist").exists()


@pytest.mark.parametrize("form", ["backend", "plain", "pt"])
def test_an_expert_is_loaded_from_any_of_the_formats(tmp_path: Path, form: str):
    backend = make(3)
    path = tmp_path / ("net.pt" if form == "pt" else "net.safetensors")
    if form == "backend":
        backend.save_checkpoint(path)
    elif form == "plain":
        from safetensors.torch import save_file

        save_file(backend.expert.state_dict(), path)
    else:
        torch.save(backend.expert.state_dict(), path)
    (tmp_path / "model.py").write_text(
        "from torch import nn\n"
        "def net(width):\n"
        "    first, last = nn.Linear(4, width), nn.Linear(width, 2)\n"
        "    return nn.Sequential(first, nn.BatchNorm1d(width), last)\n"
    )
    loaded = load_module("the net", "model.py:net", {"width": 3}, path, tmp_path)
    for name, value in backend.expert.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    with pytest.raises(LoadError, match="not this module's"):
        load_module("the net", "model.py:net", {"width": 5}, path, tmp_path)
    with pytest.raises(LoadError, match="could not be made"):
        load_module("the net", "model.py:net", {"size": 5}, path, tmp_path)


def test_state_that_is_not_plain_is_refused(tmp_path: Path):
    backend = make(0)
    assert backend.opt is not None
    backend.opt.param_groups[0]["lr"] = object()
    with pytest.raises(LoadError, match="not plain data"):
        backend.save_checkpoint(tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())
