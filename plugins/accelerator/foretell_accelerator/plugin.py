"""What this package adds to Foretell. Importing it imports no framework."""

from __future__ import annotations

from foretell import Entry, hookimpl

_HERE = "foretell_accelerator"


@hookimpl
def register_sources() -> list[Entry]:
    """Prompts for text generation."""
    return [
        Entry("prompts", "Prompts from JSON, JSON lines or folders", f"{_HERE}.source:PromptSource")
    ]


@hookimpl
def register_predictors() -> list[Entry]:
    """What runs through the deployer of this package."""
    return [
        Entry(
            "artifact",
            "A program compiled ahead of time, or a model to compile",
            f"{_HERE}.predictor:ArtifactPredictor",
            "accelerator",
        ),
        Entry(
            "generate",
            "Text from prompts, by a decoder",
            f"{_HERE}.decoding.predictor:GeneratePredictor",
            "accelerator",
        ),
    ]


@hookimpl
def register_deployers() -> list[Entry]:
    """The deployer that compiles models and runs artifacts."""
    target = f"{_HERE}.deployer:AcceleratorDeployer"
    return [Entry("accelerator", "Compiled ahead of time for a target", target, "accelerator")]


@hookimpl
def register_commands() -> list[Entry]:
    """``sdk compile``."""
    summary = "Compile a job's model ahead of time into an artifact"
    return [Entry("compile", summary, f"{_HERE}.command:command", "accelerator")]


@hookimpl
def register_checks() -> list[Entry]:
    """Lines of ``sdk doctor``."""
    return [Entry("targets", "Which targets work here", f"{_HERE}.checks:targets")]


@hookimpl
def register_targets() -> list[Entry]:
    """The targets of this package."""
    here = f"{_HERE}.targets"
    return [
        Entry("torch", "PyTorch as it is", f"{here}.eager:EagerTarget", "torch"),
        Entry(
            "aot-inductor",
            "Machine code by AOTInductor",
            f"{here}.aot_inductor:AotInductorTarget",
            "accelerator",
        ),
        Entry("openvino", "OpenVINO", f"{here}.openvino:OpenVinoTarget", "accelerator"),
        Entry(
            "onnxruntime", "ONNX Runtime", f"{here}.onnxruntime:OnnxRuntimeTarget", "accelerator"
        ),
        Entry(
            "jax-export",
            "StableHLO by XLA",
            f"{here}.jax_export:JaxExportTarget",
            "accelerator,jax",
        ),
        Entry("sambaflow", "SambaNova's SambaFlow", f"{here}.sambaflow:SambaFlowTarget"),
    ]


@hookimpl
def register_rewrites() -> list[Entry]:
    """The rewrites of this package."""
    target = f"{_HERE}.rewriting:eager_attention"
    return [Entry("eager-attention", "Attention of plain matrix products", target)]
