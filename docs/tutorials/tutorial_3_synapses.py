"""
Synapses: are two channels coupled?
===================================

You have localizations of a pre- and a postsynaptic protein, and ask whether they are closer than
chance, how many are coupled, and at what distance. Localizations of one blinking molecule should
be linked, and clusters taken together, before they are counted as objects.
"""

import numpy as np

import nanospine as ns

# %%
# The observed field is part of the data: densities, Ripley and SODA take it from there. Without
# it, it is the bounding box, and the result says so. Here 40 % of 300 postsynaptic objects stand
# at 120 ± 30 nm from a presynaptic one.

field = ns.Box(np.zeros(2), np.array([8000.0, 6000.0]))
locs = ns.simulate.synapses(
    field, n_pre=300, n_post=300, coupled_fraction=0.4, distance_nm=120, distance_std_nm=30, seed=2
)
pre, post = locs.channel("pre"), locs.channel("post")
print(len(pre), "pre,", len(post), "post; region", type(field).__name__)

# %%
# First the question yes or no. Ripley's cross L beside its value without structure:

radii = np.arange(20.0, 401.0, 20.0)
curve = ns.ripley_l(pre, radii, other=post)
excess = curve.values - curve.theory
print(f"L - r at most {excess.max():.0f} nm, at r = {curve.radii_nm[excess.argmax()]:.0f} nm")

# %%
# Then how many, and how far. SODA counts pairs in rings, takes off those expected of points
# anywhere in the region (the border is exact), and gives the coupled share with its interval.

found = ns.soda(pre, post, np.arange(0.0, 301.0, 30.0)[1:], n_simulations=199)
share, low, high = (
    100 * getattr(found, f"coupled_fraction_b{end}") for end in ("", "_low", "_high")
)
print(f"{share:.0f} % of post are coupled (95 %: {low:.0f} to {high:.0f}); planted 40 %")
print(f"at {found.mean_distance_nm:.0f} nm; planted 120; p = {found.p_value:.3f}")
for note in found.notes:
    print("note:", note)

# %%
# The pairs themselves, drawn as lines: the ones that are probably coupled.

pairs = found.pairs[found.pairs["probability"] > 0.5]
ends = np.stack([pre.xyz_nm[pairs["index_a"]], post.xyz_nm[pairs["index_b"]]], axis=1)
_ = ns.render(None, locs, colour_by="channel", pairs_nm=ends, camera="top", point_nm=25,
              width=900, path="pairs.png")  # fmt: skip

# %%
# On the command line: ``nanospine couple synapses.csv --channels pre,post``.
