"""Eight simulated devices for the tests of this folder."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _on_eight_devices(eight_devices):
    """JAX as every test of this folder finds it."""
