"""What all tests share: hypothesis profiles, and the folder of real data where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# One profile for everybody: a slow machine is no failure. CI draws the same examples each time,
# so that a red run is red again.
settings.register_profile("default", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "default")

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real files that are not part of the project; without it the test is skipped."""
    folder = Path(os.environ.get("NANOSPINE_SHARED_DATA", _ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data in {folder} (NANOSPINE_SHARED_DATA names another folder)")
    return folder
