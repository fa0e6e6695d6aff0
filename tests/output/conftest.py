"""One small dendrite with two spines, found on its mesh and on its localizations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import nanospine as ns


@pytest.fixture(scope="session")
def shape():
    return ns.simulate.dendrite(2500, ["mushroom", "thin"], seed=3, voxel_nm=35)


@pytest.fixture(scope="session")
def locs(shape):
    return ns.simulate.localize(shape, density_per_um2=250, seed=2)


@pytest.fixture(scope="session")
def found(shape, locs):
    return ns.find_spines(shape.mesh, locs)


@dataclass
class _Config:
    input_path: Path = Path("cell 1.csv")
    data: dict[str, Any] = field(default_factory=lambda: {"spines": {"seed": 0}})

    def model_dump(self, mode: str) -> dict[str, Any]:
        return self.data


@dataclass
class _Run:
    localizations: Any
    spines: Any
    envelope: Any
    config: Any = field(default_factory=_Config)
    input_sha256: str = "ab" * 32
    notes: tuple[str, ...] = ("A note.",)
    timings_s: dict[str, float] = field(default_factory=lambda: {"read": 0.1})
    versions: dict[str, str] = field(default_factory=lambda: {"nanospine": "0"})

    @property
    def history(self):
        return self.spines.history


@pytest.fixture(scope="session")
def run(locs):
    envelope = ns.envelope(locs)
    spines = ns.find_spines(envelope, locs)
    table = locs.table.assign(spine=spines.localization_spine)
    return _Run(locs.replace(table=table, operation="find_spines"), spines, envelope)
