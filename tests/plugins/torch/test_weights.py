"""Weights from files: what is read, what is refused, and nothing that is run."""

import contextlib
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from foretell.errors import LoadError
from foretell_torch import weights

pytest.importorskip("torch")
import torch
from safetensors import torch as safetensors

HERE = Path(__file__).parent


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def read(path, key=None, prefix=None):
    return weights.state_dict_in(weights.read_checkpoint(str(path)), str(path), key, prefix)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.ckpt", "old.pt"])
def test_weights_come_back_from_every_kind_of_file(tmp_path, name):
    state = net().state_dict()
    if name.endswith(".safetensors"):
        safetensors.save_file(state, tmp_path / name)
    elif name == "w.ckpt":
        torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, tmp_path / name)
    else:
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=name != "old.pt")
    found = read(tmp_path / name)
    assert list(found) == sorted(state) or list(found) == list(state)
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_a_folder_of_safetensors_is_one_checkpoint(tmp_path):
    state = net().state_dict()
    names = list(state)
    safetensors.save_file({k: state[k] for k in names[:2]}, tmp_path / "a.safetensors")
    safetensors.save_file({k: state[k] for k in names[2:]}, tmp_path / "b.safetensors")
    assert read(tmp_path).keys() == state.keys()
    index = '{"weight_map": {"0.weight": "a.safetensors"}}'
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert sorted(read(tmp_path)) == sorted(names[:2])
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"w": "../a"}}')
    with pytest.raises(LoadError, match="cannot be read"):
        read(tmp_path)


def test_a_pickle_that_is_more_than_tensors_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "trap"
    for write in (
        lambda f: torch.save({"state_dict": net().state_dict(), "x": Bomb(trap)}, f),
        lambda f: pickle.dump(Bomb(trap), f),
    ):
        with open(tmp_path / "bad.pt", "wb") as file:
            write(file)
        with pytest.raises(LoadError) as caught:
            weights.read_checkpoint(str(tmp_path / "bad.pt"))
        assert caught.value.slug == "load-pickle"
        assert ("safe", "nothing in it was run") in caught.value.facts
        assert not trap.exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_damaged_file_is_a_load_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 not a checkpoint at all")
    with pytest.raises(LoadError) as caught:
        weights.read_checkpoint(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("new", [True, False])
def test_no_damage_is_anything_but_a_load_error(tmp_path, new):
    path = tmp_path / "w.pt"
    torch.save(net().state_dict(), path, _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    noise = np.random.default_rng(0)
    damaged = [noise.bytes(200) for _ in range(20)] + [b"", b"hello"]
    damaged += [whole[:at] for at in range(0, len(whole), 101)]
    for at in range(0, len(whole), 23):
        damaged.append(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    for data in damaged:
        path.write_bytes(data)
        with contextlib.suppress(LoadError):  # a flipped bit of a weight is a weight
            weights.load_checkpoint(net(), str(path))


def test_what_is_no_pickle_is_called_that(tmp_path):
    (tmp_path / "w.pt").write_bytes(np.random.default_rng(0).bytes(200))
    with pytest.raises(LoadError, match="cannot be read") as caught:
        weights.read_checkpoint(str(tmp_path / "w.pt"))
    assert "no file that torch.save wrote" in str(caught.value)
    assert "arbitrary code" not in str(caught.value)


def test_names_that_do_not_fit_are_listed(tmp_path):
    state = OrderedDict(net().state_dict())
    state["0.weight"] = torch.zeros(3, 5)
    state["extra"] = state.pop("1.bias")
    with pytest.raises(LoadError) as caught:
        weights.load_into(net(), state, "w.pt")
    assert str(caught.value) == (
        "error[load-keys]: the checkpoint does not fit the model\n"
        "  checkpoint    w.pt\n"
        "  model         Sequential, 4 weights\n"
        "  missing       1.bias\n"
        "  unexpected    extra\n"
        "  other shape   0.weight (3, 5), expected (3, 2)"
    )


def test_without_strict_only_shapes_are_refused():
    model, state = net(), net().state_dict()
    state["0.bias"] = torch.full((3,), 7.0)
    del state["1.bias"]
    with pytest.raises(LoadError, match="does not fit"):
        weights.load_into(model, state, "w.pt")
    weights.load_into(model, state, "w.pt", strict=False)
    assert model[0].bias.tolist() == [7.0] * 3
    state["0.bias"] = torch.zeros(4)
    with pytest.raises(LoadError, match="does not fit"):
        weights.load_into(model, state, "w.pt", strict=False)


def test_a_common_prefix_is_suggested_and_can_be_cut_off(tmp_path):
    state = {f"module.{name}": value for name, value in net().state_dict().items()}
    state["other.0"] = torch.zeros(1)
    with pytest.raises(LoadError) as caught:
        weights.load_into(net(), state, "w.pt")
    assert caught.value.tries == (
        ("--set predictor.strip_prefix=module.", "all names fit without it"),
    )
    torch.save(state, tmp_path / "w.pt")
    found = read(tmp_path / "w.pt", prefix="module.")
    weights.load_into(net(), found, "w.pt")
    with pytest.raises(LoadError, match=r"begins with 'nope\.'"):
        read(tmp_path / "w.pt", prefix="nope.")


def test_the_entry_that_holds_the_weights_can_be_named(tmp_path):
    torch.save({"ema": net().state_dict(), "step": 1}, tmp_path / "w.pt")
    assert "0.weight" in read(tmp_path / "w.pt", key="ema")
    with pytest.raises(LoadError, match="no weights under 'step'"):
        read(tmp_path / "w.pt", key="step")
    with pytest.raises(LoadError, match="no weights by name"):
        read(tmp_path / "w.pt")


def test_tied_weights_may_be_stored_once():
    model = net()
    model[1].weight = torch.nn.Parameter(torch.zeros(1, 3))
    model.add_module("again", torch.nn.Linear(3, 1))
    model.again.weight = model[1].weight
    state = model.state_dict()
    del state["again.weight"]
    weights.load_into(model, state, "w.pt")
