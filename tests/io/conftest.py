"""Where the sample files of others are, when they are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("NANOSPINE_SHARED_DATA", default))
    if not (folder / "localizations").is_dir():
        pytest.skip(f"the sample files are not here ({folder}); set NANOSPINE_SHARED_DATA")
    return folder
