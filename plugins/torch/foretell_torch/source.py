"""``kind = "torch-dataset"``: any map-style dataset, with processes of its own to decode rows."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from foretell.abc import Source, SourceOptions
from foretell.abc.options import IMPORT
from foretell.builtin.predictors import identity
from foretell.builtin.sources.memory_digest import item_digest
from foretell.builtin.sources.parts import SAMPLES, sha256, spread
from foretell.digest import hash_json
from foretell.errors import ConfigError, ForetellError, LoadError
from foretell.imports import load_object, module_file
from foretell.types import Layout, RowError, Rows, SourceSpec
from pydantic import Field

from foretell_torch import frameworks
from foretell_torch.decoding import Decoders, Recipe, read_items


class DatasetOptions(SourceOptions):
    """``[source]`` with ``kind = "torch-dataset"``."""

    kind: str = Field(default="torch-dataset", description="torch-dataset")
    dataset: str | None = Field(
        default=None,
        description="Import string of the dataset: a class, a function that returns one, or one.",
        json_schema_extra=IMPORT,
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments for the class or function."
    )
    num_workers: int = Field(
        default=0, ge=0, description="Processes that read and decode rows, for each worker."
    )


class TorchDatasetSource(Source):
    """Rows ``dataset[0] … dataset[len - 1]``; tensors in them become arrays.

    Without ``num_workers`` the dataset is asked by one thread at a time, for nobody knows whether
    it may be used by several. With them, that many processes each build the dataset and read
    parts of a range side by side. An exception is its row's error.

    Args:
        options: Settings.
        data: A live dataset instead of ``options.dataset``; it takes no ``num_workers``.

    Raises:
        ConfigError: no dataset is named.
        LoadError: it cannot be made, or has no length and index.
    """

    Options: ClassVar[type[SourceOptions]] = DatasetOptions
    what: ClassVar[str] = "dataset"

    def __init__(self, options: DatasetOptions, data: Any = None) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._decoders: Decoders | None = None
        self._data = data
        self._live = data is not None
        if self._live and options.num_workers:
            raise ConfigError(
                "a live dataset is read in this process",
                facts=[("num_workers", str(options.num_workers))],
                tries=[('dataset = "module:Class"', "an import string, which others can build")],
                slug="source-live",
            )
        if not self._live:
            self._data = self._recipe().build()
        self._length = _length_of(self._data)

    @classmethod
    def recognises(cls, data: object) -> bool:
        return frameworks.is_dataset(data)

    @classmethod
    def from_live(cls, options: Any, data: object) -> Source:
        return cls(options, data)

    @staticmethod
    def make(target: Any, options: dict[str, Any], extra: dict[str, Any]) -> Any:
        """The dataset that an import string's object stands for."""
        is_factory = isinstance(target, type) or not hasattr(target, "__getitem__")
        if is_factory:
            return target(**options)
        if options:
            raise ConfigError(
                "the dataset exists already and takes no options",
                facts=[("options", ", ".join(options))],
                slug="config-options",
            )
        return target

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(Layout.RECORDS)

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> Rows:
        if self._options.num_workers and stop > start:
            items, errors = self._pool().read(start, stop)
        else:
            with self._lock:
                items, errors = read_items(self._data, range(start, stop))
        return Rows(
            items,
            tuple(RowError(row, kind, text, self.locate(row)) for row, kind, text in errors),
        )

    def locate(self, row: int) -> str:
        return f"{self._options.dataset or type(self._data).__qualname__}[{row}]"

    def fingerprint(self) -> Mapping[str, str]:
        """Source file and options of the dataset, and some rows of it, or all (``content``)."""
        options = self._options
        parts = {"rows": str(self._length), "class": type(self._data).__qualname__}
        if not self._live:
            text = str(options.dataset)
            parts |= identity.named(self.what, text, module_file(text, options.base_dir))
            parts["options"] = hash_json({**options.options, **self._extra()})
        whole = options.fingerprint == "content"
        chosen = range(self._length) if whole else spread(self._length, SAMPLES)
        parts["content" if whole else "sample"] = sha256(self._digest(row) for row in chosen)
        return parts

    def close(self) -> None:
        with self._lock:
            decoders, self._decoders = self._decoders, None
        if decoders is not None:
            decoders.close()

    # --- steps ----------------------------------------------------------------------------------

    def _extra(self) -> dict[str, Any]:
        """Further plain values that ``make`` wants."""
        return {}

    def _recipe(self) -> Recipe:
        options = self._options
        if options.dataset is None:
            raise ConfigError(
                f"the job names no {self.what}",
                facts=[("missing", "source.dataset")],
                tries=[(f'dataset = "module:{self.what.title()}"', "an import string")],
                slug="config-dataset",
            )
        place = f"{type(self).__module__}:{type(self).__qualname__}.make"
        recipe = Recipe(
            options.dataset, str(options.base_dir), dict(options.options), place, self._extra()
        )
        module_file(recipe.dataset, Path(recipe.base_dir))
        return recipe

    def _pool(self) -> Decoders:
        with self._lock:
            if self._decoders is None:
                self._decoders = Decoders(self._recipe(), self._options.num_workers)
            return self._decoders

    def _digest(self, row: int) -> bytes:
        with self._lock:
            items, errors = read_items(self._data, range(row, row + 1))
        return repr(errors).encode() if errors else item_digest(items[0])


def _length_of(data: Any) -> int:
    try:
        if not hasattr(data, "__getitem__"):
            raise TypeError("it has no index")
        return len(data)
    except (TypeError, NotImplementedError) as error:
        raise LoadError(
            "this dataset has no rows that can be numbered",
            facts=[("got", type(data).__qualname__), ("because", str(error) or "no length")],
            tries=[
                ("foretell.stream(dataset, model=…)", "for data without a length, nothing stored"),
                ("foretell_torch.PredictionWriter", "in your own Trainer it may be iterable"),
            ],
            slug="source-iterable",
        ) from error


def built(recipe: Recipe) -> Any:
    """The dataset of a recipe.

    Raises:
        LoadError: with the cause.
    """
    target = load_object(recipe.dataset, recipe.base_dir)
    make = load_object(recipe.make, recipe.base_dir)
    try:
        return make(target, dict(recipe.options), dict(recipe.extra))
    except ForetellError:
        raise
    except Exception as error:
        raise LoadError(
            f"{recipe.dataset} could not be made",
            facts=[
                ("options", ", ".join(recipe.options) or "none"),
                ("cause", f"{type(error).__name__}: {error}"),
            ],
            slug="load-dataset",
        ) from error
