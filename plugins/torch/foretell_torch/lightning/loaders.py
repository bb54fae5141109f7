"""``kind = "lightning-loader"``: the dataset behind a datamodule's predict loader, as a source."""

from __future__ import annotations

from typing import Any

from foretell.abc.options import IMPORT
from foretell.errors import LoadError
from pydantic import Field

from foretell_torch import frameworks
from foretell_torch.source import DatasetOptions, TorchDatasetSource


class LightningLoaderOptions(DatasetOptions):
    """``[source]`` with ``kind = "lightning-loader"``."""

    kind: str = Field(default="lightning-loader", description="lightning-loader")
    dataset: str | None = Field(
        default=None,
        description="Import string of the LightningDataModule: a class or a function.",
        json_schema_extra=IMPORT,
    )
    loader: int = Field(default=0, ge=0, description="Which of its predict loaders.")


class LightningLoaderSource(TorchDatasetSource):
    """The rows a predict loader would give with nothing shuffled, one item of its dataset each.

    Batches are made by Foretell; the loader's ``collate_fn`` is used by the predictor that is told
    the same ``datamodule``. Its sampler is not: rows are numbered as its dataset numbers them.
    """

    Options = LightningLoaderOptions
    what = "datamodule"

    @staticmethod
    def make(target: Any, options: dict[str, Any], extra: dict[str, Any]) -> Any:
        """The dataset of the loader."""
        return predict_loader(target(**options), extra["loader"]).dataset

    def _extra(self) -> dict[str, Any]:
        options = self._options
        assert isinstance(options, LightningLoaderOptions)
        return {"loader": options.loader}


def predict_loader(datamodule: Any, index: int) -> Any:
    """One of a datamodule's predict loaders, the datamodule prepared and set up first.

    Raises:
        LoadError: there is no such loader.
    """
    frameworks.lightning()
    datamodule.prepare_data()
    datamodule.setup("predict")
    found = datamodule.predict_dataloader()
    loaders = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(loaders, list | tuple):
        loaders = [loaders]
    if index >= len(loaders):
        raise LoadError(
            f"the datamodule has no predict loader {index}",
            facts=[("datamodule", type(datamodule).__name__), ("loaders", str(len(loaders)))],
            slug="load-loader",
        )
    return loaders[index]
