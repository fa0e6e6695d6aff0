"""Planted truth: dendrites, spines and synapses of which everything is known."""

from __future__ import annotations

from nanospine.simulate.dendrites import demo_dendrite, dendrite, spine
from nanospine.simulate.labelling import LocalizationTruth, SimulatedLocalizations, localize
from nanospine.simulate.shapes import DendriteTruth, Shape, SpineSpec
from nanospine.simulate.synapses import SynapseTruth, synapses

__all__ = [
    "DendriteTruth",
    "LocalizationTruth",
    "Shape",
    "SimulatedLocalizations",
    "SpineSpec",
    "SynapseTruth",
    "demo_dendrite",
    "dendrite",
    "localize",
    "spine",
    "synapses",
]
