"""``sambaflow``: an adapter for SambaNova's SambaFlow, which is not publicly available.

It makes the calls of the vendor's tutorial program for generative inference, in their order and
with their arguments. **It has not met the hardware**: it is tested against a stand-in of the module
that computes on the CPU. Running needs the model beside the artifact, because the vendor traces it
again to make the output tensors.

Source: SambaNova, "Code elements of the inference program" (generative NLP tutorial).
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from foretell.frameworks import version

from foretell_accelerator.errors import CompileError
from foretell_accelerator.manifest import Program
from foretell_accelerator.targets.base import Runner, Target, TargetSettings, Traceable, framework
from foretell_accelerator.targets.torchlike import not_compiled, to_tensor

_DECODER = ("input_ids", "attention_mask", "position_ids")


class SambaFlowTarget(Target):
    """A reconfigurable dataflow unit through the vendor's package. It has no options."""

    name: ClassVar[str] = "sambaflow"
    frameworks: ClassVar[frozenset[str]] = frozenset({"torch"})
    devices: ClassVar[tuple[str, ...]] = ("rdu",)
    needs_model: ClassVar[bool] = True
    extra: ClassVar[str] = ""

    def usable(self) -> str:
        if importlib.util.find_spec("sambaflow") is None:
            return "not installed: sambaflow, which SambaNova gives to its customers"
        return ""

    def compile(self, traceable: Traceable, folder: Path, settings: TargetSettings) -> None:
        samba, _ = _vendor()
        model = traceable.model
        samba.from_torch_model_(model)
        tensors = [to_tensor(framework("torch"), array) for array in traceable.inputs.values()]
        inputs = _traced(samba, model, list(traceable.inputs), tensors)
        try:
            samba.session.compile(model, inputs, app_dir=str(folder), inference=True)
        except Exception as error:
            raise not_compiled(self.name, error) from error
        _pef(folder)

    def load(
        self, folder: Path, program: Program, settings: TargetSettings, model: Any = None
    ) -> Runner:
        samba, utils = _vendor()
        samba.from_torch_model_(model)
        torch = framework("torch")
        names = [spec.name for spec in program.inputs]
        dummy = [to_tensor(torch, np.zeros(spec.shape, spec.dtype)) for spec in program.inputs]
        inputs = _traced(samba, model, names, dummy)
        traced = utils.trace_graph(model, inputs, pef=str(_pef(folder)))
        return _Session(samba, torch, model, names, traced, program)

    def versions(self) -> Mapping[str, str]:
        return {"sambaflow": version("sambaflow") or "unknown"}

    def device_kind(self, device: str) -> str:
        return "rdu"


class _Session(Runner):
    """A traced graph; the vendor's session runs its forward section."""

    def __init__(
        self, samba: Any, torch: Any, model: Any, names: list[str], traced: Any, program: Program
    ) -> None:
        self._samba, self._torch, self._model = samba, torch, model
        self._names, self._traced = names, traced
        self._dtypes = [np.dtype(spec.dtype) for spec in program.outputs]

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        tensors = [to_tensor(self._torch, value) for value in inputs]
        found = self._samba.session.run(
            input_tensors=_traced(self._samba, self._model, self._names, tensors),
            output_tensors=self._traced,
            hyperparam_dict={"p": 0.0},
            section_types=["fwd"],
        )
        return [
            self._samba.to_torch(value).detach().cpu().float().numpy().astype(dtype, copy=False)
            for value, dtype in zip(found, self._dtypes, strict=False)
        ]


def _vendor() -> tuple[Any, Any]:
    """The vendor's modules, under the names its programs use.

    Raises:
        LoadError: they are not installed.
    """
    return framework("sambaflow.samba", ""), framework("sambaflow.samba.utils", "")


def _traced(samba: Any, model: Any, names: Sequence[str], tensors: Sequence[Any]) -> Sequence[Any]:
    """The vendor's tensors in the order of the model's ``forward``, None between them.

    A decoder's inputs get the vendor's names, dtypes and shapes: ids int32, the mask float32
    ``(B, 1, T)``, positions int16.
    """
    given = dict(zip(names, tensors, strict=True))
    if set(names) == set(_DECODER):
        ids = samba.from_torch_tensor(given["input_ids"].int(), name="input_ids")
        mask = given["attention_mask"][:, None, :].to(framework("torch").float32)
        mask = samba.from_torch_tensor(mask, name="attention_mask")
        positions = given["position_ids"].short()
        positions = samba.from_torch_tensor(positions, name="input_position_ids")
        return (ids, None, mask, None, positions, None, None, None)
    order = [name for name in inspect.signature(model.forward).parameters if name in given]
    if len(order) != len(given):
        order = list(given)  # a forward that takes *args
    return tuple(samba.from_torch_tensor(given[name], name=name) for name in order)


def _pef(folder: Path) -> Path:
    """The compiled program the vendor wrote below its app folder."""
    found = sorted(folder.rglob("*.pef"))
    if len(found) != 1:
        raise CompileError(
            "the vendor's compiler left no single PEF file",
            facts=[("folder", str(folder)), ("found", ", ".join(map(str, found)) or "none")],
        )
    return found[0]
