"""Weights from files, as tensors and nothing else: no file is ever unpickled beyond that."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from foretell.errors import LoadError
from foretell.frameworks import framework

from foretell_torch import frameworks

_INDEX = "model.safetensors.index.json"
_NESTED = ("state_dict", "model_state_dict", "model")
"""Where trainers put the weights inside a checkpoint."""

_ARCHIVE = b"PK\x03\x04"
_FOREIGN = "it is no file that torch.save wrote"


def read_checkpoint(path: str) -> Any:
    """What a checkpoint holds, tensors and plain data only.

    Args:
        path: A ``.safetensors`` file, a folder of them, or a file that ``torch.save`` wrote.

    Raises:
        LoadError: it cannot be read, or holds more than tensors and plain data; such a file is
            refused before anything in it is run.
    """
    place = Path(path)
    if place.is_dir():
        return _read_folder(place)
    if place.suffix == ".safetensors":
        return _read_safetensors(place)
    return _read_torch(place)


def state_dict_in(content: Any, path: str, key: str | None, prefix: str | None) -> dict[str, Any]:
    """The weights in what a checkpoint holds.

    Args:
        content: What :func:`read_checkpoint` returned.
        path: For messages.
        key: Name of the entry that holds them; found by itself when absent.
        prefix: Kept are only names that begin with it, and it is cut off.

    Raises:
        LoadError: there are none.
    """
    found = _entry(content, path, key)
    if prefix is None:
        return dict(found)
    cut = {name.removeprefix(prefix): v for name, v in found.items() if name.startswith(prefix)}
    if not cut:
        raise LoadError(
            f"no weight in the checkpoint begins with {prefix!r}",
            facts=[("checkpoint", path), ("names", _some(found))],
            slug="load-weights",
        )
    return cut


def _entry(content: Any, path: str, key: str | None) -> Mapping[str, Any]:
    if key is not None:
        found = content.get(key) if isinstance(content, Mapping) else None
        if isinstance(found, Mapping) and _is_state_dict(found):
            return dict(found)
        known = ", ".join(map(str, content)) if isinstance(content, Mapping) else "none"
        raise LoadError(
            f"the checkpoint has no weights under {key!r}",
            facts=[("checkpoint", path), ("entries", known)],
            slug="load-weights",
        )
    for found in (content, *(content.get(k) for k in _NESTED if isinstance(content, Mapping))):
        if isinstance(found, Mapping) and _is_state_dict(found):
            return dict(found)
    entries = ", ".join(map(str, content)) if isinstance(content, Mapping) else ""
    raise LoadError(
        "the checkpoint holds no weights by name",
        facts=[("checkpoint", path), ("got", entries or type(content).__name__)],
        tries=[('state_dict_key = "…"', "the entry that holds them")] if entries else [],
        slug="load-weights",
    )


def _is_state_dict(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    is_tensor = frameworks.torch().is_tensor
    return all(isinstance(name, str) and is_tensor(item) for name, item in value.items())


def _read_folder(folder: Path) -> dict[str, Any]:
    index = folder / _INDEX
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(index, error) from error
        if any(Path(name).name != name for name in names):
            raise _unreadable(index, "it names a file outside its folder")
        files = [folder / name for name in names]
    else:
        files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise LoadError(
            "there are no weights in this folder",
            facts=[("checkpoint", str(folder)), ("looked for", "*.safetensors")],
            slug="load-weights",
        )
    weights: dict[str, Any] = {}
    for file in files:
        weights |= _read_safetensors(file)
    return weights


def _read_safetensors(path: Path) -> dict[str, Any]:
    frameworks.torch()
    safetensors = framework("safetensors", "torch")
    try:
        weights: dict[str, Any] = framework("safetensors.torch", "torch").load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    return weights


def _read_torch(path: Path) -> Any:
    torch = frameworks.torch()
    try:
        with warnings.catch_warnings():
            # It warns of pickles it does not know; what they name decides, and is refused below.
            warnings.simplefilter("ignore")
            return torch.load(
                path, map_location="cpu", weights_only=True, mmap=_begins(path, _ARCHIVE)
            )
    except pickle.UnpicklingError as error:
        if not _is_pickle(path):
            raise _unreadable(path, _FOREIGN) from None
        raise LoadError(
            "the checkpoint holds more than tensors and plain data, so it was not loaded",
            facts=[
                ("checkpoint", str(path)),
                ("because", _refused(str(error))),
                ("safe", "nothing in it was run"),
            ],
            tries=[
                ("torch.save(model.state_dict(), …)", "keeps the weights alone"),
                ("safetensors.torch.save_file(model.state_dict(), …)", "can hold nothing else"),
            ],
            slug="load-pickle",
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # a damaged pickle raises whatever its reader stumbles over
        cause = f"{type(error).__name__}: {error}" if _is_pickle(path) else _FOREIGN
        raise _unreadable(path, cause) from error


def _is_pickle(path: Path) -> bool:
    """Whether a file is, or holds, a pickle: an archive, or what begins as pickles do."""
    return _begins(path, _ARCHIVE) or _begins(path, pickle.PROTO)


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _refused(message: str) -> str:
    """Why PyTorch refused a pickle, without its advice to load it all the same."""
    named = re.search(r"GLOBAL (\S+)", message)
    if named is not None:
        return f"it names {named[1]}, which loading it would import and call"
    _, _, reason = message.partition("WeightsUnpickler error:")
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return f"torch.save did not write this pickle, or it is damaged: {(lines or ['?'])[0][:200]}"


def _unreadable(path: Path, cause: object) -> LoadError:
    return LoadError(
        "the checkpoint cannot be read",
        facts=[("checkpoint", str(path)), ("cause", str(cause).partition("\n")[0][:300])],
        slug="load-weights",
    )


def load_checkpoint(module: Any, path: str | None) -> None:
    """Copy the weights in a file or folder into a module, every name fitting; None does nothing.

    Raises:
        LoadError: they cannot be read, or do not fit.
    """
    if path is not None:
        weights = state_dict_in(read_checkpoint(path), path, None, None)
        load_into(module, weights, path, settings=False)


def load_into(
    module: Any,
    weights: Mapping[str, Any],
    path: str,
    *,
    strict: bool = True,
    settings: bool = True,
) -> None:
    """Copy weights into a module, name by name.

    Args:
        module: A ``torch.nn.Module``.
        weights: Name to tensor.
        path: For messages.
        strict: Whether missing and unexpected names are refused. Another shape always is.
        settings: Whether the predictor has settings for names that do not fit, to advise them.

    Raises:
        LoadError: listing what is missing, unexpected and of another shape.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in weights and not _is_tied(module, name, weights)]
    unexpected = [name for name in weights if name not in own]
    shaped = [
        f"{name} {tuple(weights[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    if shaped or (strict and (missing or unexpected)):
        facts = [("checkpoint", path), ("model", f"{type(module).__name__}, {len(own)} weights")]
        told = {"missing": missing, "unexpected": unexpected, "other shape": shaped}
        facts += [(label, _some(names)) for label, names in told.items() if names]
        raise LoadError(
            "the checkpoint does not fit the model",
            facts=facts,
            tries=_advice(own, weights, bool(shaped)) if settings else [],
            slug="load-keys",
        )
    module.load_state_dict({k: v for k, v in weights.items() if k in own}, strict=False)


def _is_tied(module: Any, name: str, weights: Mapping[str, Any]) -> bool:
    """Whether a weight is another name of one that is there: files keep such weights once."""
    own = dict(module.named_parameters(remove_duplicate=False))
    mine = own.get(name)
    return mine is not None and any(
        other is mine and alias in weights for alias, other in own.items() if alias != name
    )


def _advice(
    own: Mapping[str, Any], weights: Mapping[str, Any], shaped: bool
) -> list[tuple[str, str]]:
    prefix = _common_prefix(own, weights)
    if prefix:
        return [(f"--set predictor.strip_prefix={prefix}", "all names fit without it")]
    if not shaped:
        return [("--set predictor.strict=false", "leaves the missing as they are made")]
    return []


def _common_prefix(own: Mapping[str, Any], weights: Mapping[str, Any]) -> str:
    """A prefix without which the weights' names are the model's."""
    first = next(iter(own), "")
    for name in weights:
        prefix = name.removesuffix(first)
        if first and prefix and prefix != name and all(f"{prefix}{key}" in weights for key in own):
            return prefix
    return ""


def _some(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
