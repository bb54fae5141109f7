"""What all tests share. They are deterministic and never timed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

from s3_standin import s3, s3_bucket, s3_endpoint, s3_env, s3_proxy, s3_url
from workbench import Workbench

__all__ = ["s3", "s3_bucket", "s3_endpoint", "s3_env", "s3_proxy", "s3_url"]

# Property tests draw the same examples every time.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """A folder to run the command in; what a failed test left running is ended."""
    workbench = Workbench(tmp_path)
    yield workbench
    for pid in workbench.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
