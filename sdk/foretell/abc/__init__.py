"""The four contracts of Foretell. A plugin implements one or more of these and nothing else."""

from foretell.abc.deployer import DeployContext, Deployer, Deployment, ServiceCaller
from foretell.abc.options import (
    DeployerOptions,
    Options,
    PredictorOptions,
    SourceOptions,
    WriterOptions,
)
from foretell.abc.predictor import Predictor
from foretell.abc.source import Source
from foretell.abc.writer import Writer, WriterPlan

__all__ = [
    "DeployContext",
    "Deployer",
    "DeployerOptions",
    "Deployment",
    "Options",
    "Predictor",
    "PredictorOptions",
    "ServiceCaller",
    "Source",
    "SourceOptions",
    "Writer",
    "WriterOptions",
    "WriterPlan",
]
