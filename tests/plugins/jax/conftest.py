"""Eight simulated devices for the tests of this folder, chosen before JAX looks for any."""

from __future__ import annotations

import pytest

DEVICES = 8


@pytest.fixture(autouse=True, scope="session")
def eight_devices():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    assert jax.device_count() == DEVICES
