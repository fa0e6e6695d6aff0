"""A small experiment: three hollow balls, so that a run takes a second."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trimesh

import nanospine as ns

SETTINGS = """
[batch]
sheet = "samples.csv"
[output]
folder = "experiment"
pictures = false
"""
SHEET = """file,condition,animal
data/ball0.csv,control,m1
data/ball1.csv,control,m2
data/ball2.csv,treated,m3
"""


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("balls")
    for number in range(3):
        mesh = trimesh.creation.icosphere(radius=250.0 + 20 * number, subdivisions=2)
        locs = ns.simulate.localize(mesh, density_per_um2=500, background_fraction=0, seed=number)
        ns.write(locs, folder / f"ball{number}.csv")
    return folder


@pytest.fixture
def make(balls: Path, tmp_path: Path) -> Callable[..., Path]:
    """Give a function that makes an experiment in a new folder and gives its configuration."""

    def _make(name: str = "place", sheet: str = SHEET, settings: str = SETTINGS) -> Path:
        place = tmp_path / name
        shutil.copytree(balls, place / "data")
        (place / "samples.csv").write_text(sheet)
        (place / "batch.toml").write_text(settings)
        return place / "batch.toml"

    return _make


@pytest.fixture(scope="session")
def undisturbed(balls: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The experiment done by the command that nothing befell, and how long it took in seconds."""
    place = tmp_path_factory.mktemp("undisturbed") / "place"
    shutil.copytree(balls, place / "data")
    (place / "samples.csv").write_text(SHEET)
    (place / "batch.toml").write_text(SETTINGS)
    start_s = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "nanospine", "batch", str(place / "batch.toml")],
        check=True, capture_output=True, timeout=300,
        env=os.environ | dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
        ),
    )  # fmt: skip
    return place / "batch.toml", time.monotonic() - start_s
