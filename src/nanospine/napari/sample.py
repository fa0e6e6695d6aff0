"""Sample data in napari's File menu: simulated, so that the truth is known."""

from __future__ import annotations

import numpy as np

import nanospine as ns
from nanospine.napari.layers import LayerData, localization_layer

__all__ = ["dendrite", "synapses"]


def dendrite() -> list[LayerData]:
    """A dendrite of 5 µm with spines of four types, membrane label, precision as of STORM."""
    shape = ns.simulate.dendrite(5000, ["mushroom", "thin", "stubby", "branched", "thin"], seed=4)
    locs = ns.simulate.localize(shape, density_per_um2=600, seed=4)
    return [localization_layer(locs, "simulated dendrite")]


def synapses() -> list[LayerData]:
    """Pre- and postsynaptic clusters in two channels."""
    field = ns.Box(np.zeros(3), np.array([4000.0, 4000.0, 600.0]))
    locs = ns.simulate.synapses(field, coupled_fraction=0.5, distance_nm=120.0, seed=4)
    return [localization_layer(locs, "simulated synapses")]
