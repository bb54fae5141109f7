"""Showing a run while it goes on: live on a terminal, plain lines elsewhere, JSON, or nothing."""

from foretell.cli.progress.choose import Sink, choose

__all__ = ["Sink", "choose"]
