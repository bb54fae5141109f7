"""Decoders of transformers, from a folder, a configuration, or (if allowed) a hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretell.builtin.predictors.identity import check_checkpoint
from foretell.digest import hash_path
from foretell.errors import ConfigError, LoadError
from foretell_torch.weights import load_checkpoint

from foretell_accelerator.settings import GenerateOptions
from foretell_accelerator.targets.base import framework

_LENGTHS = ("n_positions", "max_position_embeddings", "n_ctx")


def place_of(options: GenerateOptions, setting: str) -> Path | None:
    """The local file or folder a setting names; None when it is not set or names none here."""
    given = getattr(options, setting)
    if given is None:
        return None
    path = Path(options.resolve(given))
    return path if path.exists() else None


def check(options: GenerateOptions) -> None:
    """Refuse settings that cannot lead to a decoder, before anything is loaded.

    Raises:
        ConfigError: two ways to a model are named.
        LoadError: a file does not exist, and downloading is not allowed.
    """
    named = [
        name
        for name in ("model", "model_name_or_path", "config_name")
        if getattr(options, name) is not None
    ]
    if len(named) > 1:
        raise ConfigError(
            "the job names a model in two ways",
            facts=[(f"predictor.{name}", str(getattr(options, name))) for name in named],
            tries=[("leave one out", "")],
            slug="config-model",
        )
    if options.checkpoint is not None and options.checkpoint_name is not None:
        raise ConfigError(
            "the job names weights in two ways",
            facts=[
                ("predictor.checkpoint", options.checkpoint),
                ("predictor.checkpoint_name", options.checkpoint_name),
            ],
            slug="config-model",
        )
    for name in ("model_name_or_path", "config_name"):
        given = getattr(options, name)
        if given is not None and place_of(options, name) is None and not options.allow_download:
            raise LoadError(
                f"there is no file or folder {given!r}",
                facts=[(f"predictor.{name}", given), ("looked at", options.resolve(given))],
                tries=[("allow_download = true", "if it is a name on a hub")],
                slug="load-pretrained",
            )
    given = options.checkpoint_name or options.checkpoint
    check_checkpoint(checkpoint_of(options), given, remote=False)


def checkpoint_of(options: GenerateOptions) -> str | None:
    """Absolute path of the weights beside a configuration or folder."""
    given = options.checkpoint_name or options.checkpoint
    return None if given is None else options.resolve(given)


def load(options: GenerateOptions) -> Any:
    """The decoder, in evaluation mode and float32.

    Raises:
        LoadError: transformers cannot make it, or the weights do not fit.
    """
    torch = framework("torch")
    transformers = framework("transformers")
    hub = {"local_files_only": not options.allow_download, "cache_dir": _cache(options)}
    try:
        if options.config_name is not None:
            named = place_of(options, "config_name") or options.config_name
            config = transformers.AutoConfig.from_pretrained(str(named), **hub)
            with torch.random.fork_rng():
                torch.manual_seed(options.seed)  # weights that no checkpoint gives are repeatable
                model = transformers.AutoModelForCausalLM.from_config(config)
        else:
            place = place_of(options, "model_name_or_path") or options.model_name_or_path
            model = transformers.AutoModelForCausalLM.from_pretrained(
                str(place), dtype=torch.float32, use_safetensors=True, **hub
            )
    except Exception as error:
        raise LoadError(
            "transformers cannot make the decoder",
            facts=[
                ("from", str(options.model_name_or_path or options.config_name)),
                ("cause", f"{type(error).__name__}: {error}"[:300]),
            ],
            slug="load-pretrained",
        ) from error
    load_checkpoint(model, checkpoint_of(options))
    return model.float().eval()


def _cache(options: GenerateOptions) -> str | None:
    return None if options.cache_dir is None else options.resolve(options.cache_dir)


def fingerprint(options: GenerateOptions) -> dict[str, str]:
    """The contents of the files that make the decoder; a name on a hub is only a name.

    Raises:
        ConfigError: a name on a hub, and no ``version``.
    """
    parts: dict[str, str] = {}
    for name in ("model_name_or_path", "config_name"):
        given = getattr(options, name)
        if given is None:
            continue
        place = place_of(options, name)
        if place is None and options.version is None:
            raise ConfigError(
                "a change of a model on a hub could not be noticed",
                facts=[(f"predictor.{name}", given)],
                tries=[('version = "1"', "name its state yourself; change it with the model")],
                slug="config-version",
            )
        parts[name] = given if place is None else hash_path(place)
    path = checkpoint_of(options)
    if path is not None:
        parts["checkpoint_name"] = hash_path(path)
    elif options.config_name is not None:
        parts["seed"] = str(options.seed)
    return parts


def longest(config: Any) -> int | None:
    """The most positions a configuration (object or mapping) has room for."""
    for name in _LENGTHS:
        found = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
        if isinstance(found, int) and found > 0:
            return found
    return None


def local_config(options: GenerateOptions) -> Mapping[str, Any] | None:
    """The configuration's JSON where it stands in a local file."""
    place = place_of(options, "config_name") or place_of(options, "model_name_or_path")
    if place is None:
        return None
    file = place / "config.json" if place.is_dir() else place
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
