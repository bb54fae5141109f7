"""``kind = "lightning"``: a LightningModule and its ``predict_step``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from foretell.builtin.predictors import identity
from foretell.builtin.predictors.signatures import parameters_of
from foretell.errors import ConfigError, LoadError
from foretell.imports import load_object, module_file
from foretell.types import Batch, Examples

from foretell_torch import frameworks, weights
from foretell_torch.lightning import hooks
from foretell_torch.lightning.loaders import predict_loader
from foretell_torch.predictor import TorchPredictor
from foretell_torch.settings import LightningOptions

SINGLE = (None, "auto", "single_device")


class LightningPredictor(TorchPredictor):
    """Calls a LightningModule's ``predict_step`` for every batch, and its hooks around it.

    ``batch_idx`` is the number of the batch among all batches of the source, whatever worker
    computes it. A checkpoint's hyperparameters that the class takes are given to it, under those in
    ``options``. The hooks called are ``setup("predict")``, ``configure_model``,
    ``on_predict_start``, ``on_predict_epoch_start``, those of a batch, ``on_predict_epoch_end``,
    ``on_predict_end`` and ``teardown("predict")``, once per worker process. There is no
    ``trainer``: a module that uses ``self.trainer`` or ``self.log`` belongs into one's own Trainer,
    with the ``PredictionWriter`` callback.

    Raises:
        ConfigError: also for a strategy that spreads one model over devices.
    """

    supports_auto_batch_size = False  # ``batch_idx`` counts batches of the size it was set up with

    Options = LightningOptions
    packages: ClassVar[tuple[str, ...]] = ("torch", "lightning")
    options: LightningOptions

    def __init__(self, options: LightningOptions, **live: Any) -> None:
        if options.strategy not in SINGLE:
            raise _no_strategy(str(options.strategy))
        super().__init__(options, **live)
        self._loader_collate: Any = None
        if options.datamodule is not None:
            module_file(options.datamodule, options.base_dir)

    @classmethod
    def recognises(cls, model: object) -> bool:
        """Any live LightningModule."""
        return frameworks.is_lightning_module(model)

    # --- the model ------------------------------------------------------------------------------

    def load(self) -> Any:
        frameworks.lightning()
        self._find_collate()
        module = super().load()
        module.setup("predict")
        module.configure_model()
        return module

    def check(self, module: Any) -> None:
        if not frameworks.is_lightning_module(module):
            raise LoadError(
                f"{self._name()} gives no LightningModule",
                facts=[("got", type(module).__name__)],
                tries=[("--set predictor.kind=torch", "for any other torch.nn.Module")],
                slug="load-model",
            )

    def _call(self, target: Any, given: Mapping[str, Any]) -> Any:
        """Make the module; with a checkpoint, from its hyperparameters and then its weights."""
        if self.checkpoint is None or "checkpoint" in given:
            return super()._call(target, given)
        content = weights.read_checkpoint(self.checkpoint)
        module = super()._call(target, {**_hyperparameters(target, content), **given})
        if frameworks.is_module(module):
            if isinstance(content, dict) and "hyper_parameters" in content:
                module.on_load_checkpoint(content)
            self._fill(module, content)
        return module

    def _load_weights(self, module: Any) -> None:
        model = self.parts.get("model")
        if isinstance(model, type) or not frameworks.is_module(model):
            return  # done where it was made
        super()._load_weights(module)

    # --- a batch --------------------------------------------------------------------------------

    def collate(self, examples: Examples) -> Any:
        """The user's ``collate``; else the loader's, or PyTorch's ``default_collate``."""
        if self.parts.given("collate"):
            return super().collate(examples)
        self._find_collate()
        if isinstance(examples, list):
            return self._loader_collate(examples)
        torch = frameworks.torch()
        if isinstance(examples, Mapping):
            return {name: torch.tensor(column) for name, column in examples.items()}
        return torch.tensor(examples)

    def _find_collate(self) -> None:
        options = self.options
        if self._loader_collate is not None:
            return
        if options.datamodule is None:
            frameworks.torch()
            from torch.utils.data import default_collate

            self._loader_collate = default_collate
            return
        made = load_object(options.datamodule, options.base_dir)(**options.datamodule_options)
        self._loader_collate = predict_loader(made, options.dataloader_idx).collate_fn

    def predict(self, model: Any, batch: Batch) -> Any:
        real = batch.rows[batch.mask]
        number = int(real.min()) // batch.size if len(real) else 0
        return hooks.step(model, batch.inputs, number, self.options.dataloader_idx)

    def started(self, model: Any) -> None:
        hooks.started(model)

    def ended(self, model: Any) -> None:
        hooks.ended(model)
        model.teardown("predict")

    # --- identity -------------------------------------------------------------------------------

    def fingerprint(self) -> Mapping[str, str]:
        options = self.options
        parts = dict(super().fingerprint())
        if options.datamodule is not None:
            file = module_file(options.datamodule, options.base_dir)
            parts |= identity.named("datamodule", options.datamodule, file)
        return parts


def _hyperparameters(target: Any, content: Any) -> dict[str, Any]:
    """Those of the checkpoint that the class or function takes."""
    stored = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    if not isinstance(stored, Mapping):
        return {}
    parameters = parameters_of(target)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(stored)
    return {name: value for name, value in stored.items() if name in parameters}


def _no_strategy(name: str) -> ConfigError:
    return ConfigError(
        f"strategy {name!r} cannot be used here",
        facts=[("because", "a worker process has one device, and a chunk is one worker's work")],
        tries=[
            ("--set schedule.workers=N", "one worker for each device, each with the whole model"),
            ("foretell_torch.PredictionWriter", "a callback for your own Trainer, any strategy"),
        ],
        slug="config-strategy",
    )
