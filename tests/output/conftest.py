"""One small dendrite with two spines, found on its mesh."""

from __future__ import annotations

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
