"""
STORM: necks and types of spines
================================

You have a table of 3-D localizations of a membrane label, from ThunderSTORM, Picasso, N-STORM or
any other program, and want the spines: how many, of which type, how wide their necks.
"""

import nanospine as ns

# %%
# Your own file would be ``locs = ns.read("cell1.csv")``: the format is recognised by content,
# units are taken from the header and never guessed. Here a dendrite is simulated, so that the
# truth is known: a membrane label, ten nanometres of precision in the plane and twenty along the
# axis.

shape = ns.simulate.dendrite(4000, ["mushroom", "thin", "stubby", "branched"], seed=3)
locs = ns.simulate.localize(
    shape, label="membrane", density_per_um2=800, precision_xy_nm=10, precision_z_nm=20, seed=3
)
print(f"{len(locs):,} localizations, {locs.dimension}-D; columns: {', '.join(locs.table.columns)}")

# %%
# Look before you measure. Localizations coloured by depth:

_ = ns.render(None, locs, colour_by="depth", path="points.png", width=1000, dark=True)

# %%
# Clean first where it is needed. Every step is a function that takes localizations and gives
# localizations, and writes into their history how many rows it took.

clean = ns.drop_sparse(locs, radius_nm=100, min_neighbours=4)
print(ns.filter_summary(clean).tail(1)[["operation", "before", "after"]].to_string(index=False))

# %%
# Wrap the localizations. Say what is labelled: on a membrane the localizations lie on a shell, a
# filled label (phalloidin, a cytosolic protein) fills the volume, and the correction for noise
# differs.

surface = ns.envelope(clean, label="membrane")
volume, planted = surface.volume_nm3 / 1e9, shape.mesh.volume / 1e9
print(f"alpha {surface.alpha_nm:.0f} nm, {volume:.2f} µm³; planted {planted:.2f}")
for note in surface.notes:
    print("note:", note)

# %%
# Find and measure the spines. The neck is measured on the localizations themselves, with the
# precision of each one taken out, not on the width of the surface, which noise inflates.

spines = ns.find_spines(surface, clean)
columns = ["type", "neck_diameter_nm", "neck_diameter_low_nm", "neck_diameter_high_nm", "length_nm"]
print(spines.table[columns].round(0).to_string())

# %%
# What was planted, for comparison:

print(shape.truth.spines[["type", "neck_diameter_nm"]].round(0).to_string())

# %%
# The picture for the talk, and the figure for the paper:

_ = ns.render(spines, path="spines.png", width=1000, camera="tilted")
_ = ns.type_figure(spines, "types.png", dpi=150)

# %%
# A neck with few molecules gives a wide interval or none; then ``neck_diameter_nm`` is empty and
# ``note`` says why. What is measured depends on the density of the label and on the precision:
# :doc:`/methods/necks` has the figures.
#
# The same without Python: ``nanospine spines cell1.csv -o cell1-results`` writes the tables,
# meshes, pictures and a report that opens offline.
