"""Are two synaptic channels closer to each other than chance? Ripley's L against simulations."""

from __future__ import annotations

import numpy as np

import nanospine as ns

# Two channels in a field of 6 × 5 µm; 40 % of the second stand 107 ± 40 nm from one of the first.
field = ns.Box((0, 0), (6000, 5000))
locs = ns.simulate.synapses(
    field, n_pre=200, n_post=200, coupled_fraction=0.4, distance_nm=107, distance_std_nm=40, seed=1
)
radii_nm = np.arange(20, 401, 20)

# The second channel drawn anew 99 times, uniformly in the field; the first stays as it is.
test = ns.simulation_envelope(
    locs.channel("pre"), "L", radii_nm, other=locs.channel("post"), n_simulations=99
)
print(test.to_frame().iloc[::4].round(2).to_string(index=False))
beyond = test.radii_nm[test.outside]
print(f"p = {test.p_value:.2f}; outside the envelope from {beyond[0]:.0f} nm")

# Synapses that cluster by themselves make uniform simulations too sure. A shift of the whole
# second channel keeps its clusters and asks about the two channels only.
shifted = ns.mad_test(
    locs.channel("pre"), "G", radii_nm, other=locs.channel("post"), null="shift", n_simulations=99
)
print(f"{shifted.name} of G against shifts: p = {shifted.p_value:.2f}")

# Neither channel alone is clustered.
alone = ns.clark_evans(locs.channel("pre"))
print(f"Clark-Evans index of pre alone: {alone.index:.2f} (p = {alone.p_value:.2f})")

# ns.ripley_figure(test, "ripley.png") draws it; the command
#   nanospine ripley FILE --channel pre --other post --out FOLDER
# does all of this for a file.
