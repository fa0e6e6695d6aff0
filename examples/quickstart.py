"""Simulate a short dendrite, find its spines, and compare them with what was planted."""

from __future__ import annotations

import nanospine as ns

shape = ns.simulate.dendrite(4000, ["mushroom", "thin", "stubby"], seed=3)
locs = ns.simulate.localize(shape, label="membrane", precision_xy_nm=10, precision_z_nm=20, seed=3)
print(f"{len(locs)} localizations, {locs.dimension}-D")

surface = ns.envelope(locs, label="membrane")
print(f"envelope: {surface.volume_nm3 / 1e9:.2f} µm³ (true: {shape.mesh.volume / 1e9:.2f})")

spines = ns.find_spines(surface, locs)
columns = ["type", "neck_diameter_nm", "neck_diameter_low_nm", "neck_diameter_high_nm"]
print(spines.table[columns].round(0).to_string())
print("planted:")
print(shape.truth.spines[["type", "neck_diameter_nm"]].round(0).to_string())
