"""Plugins: discovery, names, and the typed façade."""

from foretell.plugins.discovery import Broken, Origin
from foretell.plugins.manager import Plugins, load_plugins
from foretell.plugins.observers import Observers
from foretell.plugins.registry import Claim

__all__ = ["Broken", "Claim", "Observers", "Origin", "Plugins", "load_plugins"]
