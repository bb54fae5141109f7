"""Calls a LightningModule's hooks in the order a Trainer calls them when it predicts."""

from __future__ import annotations

from typing import Any

from foretell.builtin.predictors.signatures import parameters_of


def started(module: Any) -> None:
    """Before the first batch: the module is on its device."""
    # Lightning's own version of this hook asks its trainer; there is none, and load() did it.
    if not type(module).on_predict_model_eval.__module__.startswith(("lightning.", "pytorch_l")):
        module.on_predict_model_eval()
    module.on_predict_start()
    module.on_predict_epoch_start()


def ended(module: Any) -> None:
    """After the last batch."""
    module.on_predict_epoch_end()
    module.on_predict_end()


def step(module: Any, batch: Any, batch_idx: int, dataloader_idx: int) -> Any:
    """One batch through ``predict_step``, with the hooks around it.

    Args:
        module: The LightningModule, on its device.
        batch: Collated, on the same device.
        batch_idx: Number of the batch among the whole source's.
        dataloader_idx: Which predict loader it stands for.

    Returns:
        What ``predict_step`` returned.
    """
    batch = module.on_before_batch_transfer(batch, dataloader_idx)
    batch = module.on_after_batch_transfer(batch, dataloader_idx)
    places = {"batch": batch, "batch_idx": batch_idx, "dataloader_idx": dataloader_idx}
    _call(module.on_predict_batch_start, places)
    outputs = _call(module.predict_step, places)
    _call(module.on_predict_batch_end, {"outputs": outputs, **places})
    return outputs


def _call(function: Any, places: dict[str, Any]) -> Any:
    """Call a hook with as many of the arguments as it takes, in the order Lightning gives them."""
    parameters = parameters_of(function)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return function(*places.values())
    return function(*list(places.values())[: len(parameters)])
