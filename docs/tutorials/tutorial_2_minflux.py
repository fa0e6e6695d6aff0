"""
MINFLUX: from traces to molecules
=================================

You have a MINFLUX recording (``.npy``, ``.mat``, ``.json``, ``.zarr``, pyMINFLUX ``.pmx``): many
localizations of each molecule in a row, a trace. Reading keeps the trace, the time, ``efo`` and
``cfr`` of every localization.
"""

import numpy as np

import nanospine as ns

# %%
# Your own file would be ``locs = ns.read("recording.npy", z_scale=0.7)``; the factor takes out
# the mismatch of refractive indices and is never applied twice. Here 400 molecules on a neck of
# 110 nm are localized several times each, to 3 nm in the plane and 5 nm along the axis.

random = np.random.default_rng(5)
n = 400
angle, along = random.uniform(0, 2 * np.pi, n), random.uniform(0, 600, n)
molecules = np.column_stack([55 * np.cos(angle), 55 * np.sin(angle), along])
times = random.poisson(8, n) + 1
trace = np.repeat(np.arange(n), times)
xyz = molecules[trace] + random.normal(size=(len(trace), 3)) * [3.0, 3.0, 5.0]
locs = ns.from_arrays(xyz, trace=trace, time_s=np.arange(len(trace)) * 1e-3)
print(f"{len(locs):,} localizations of {n} molecules")

# %%
# The spread within traces is the precision that the recording really had, whatever the software
# says:

with_precision = ns.add_trace_precision(ns.keep_long_traces(locs, min_length=3), min_length=3)
print(np.nanmedian(with_precision.precision_nm, axis=0).round(1), "nm in x, y, z; planted 3, 3, 5")

# %%
# One row per molecule: the mean of its trace, with the precision of a mean.

molecules_found = ns.aggregate_traces(with_precision, weight="none")
print(f"{len(molecules_found)} molecules")
for note in molecules_found.history[-1].get("notes", ()):
    print("note:", note)

# %%
# The neck along its centreline, here a straight one. For a whole dendrite
# :func:`nanospine.find_spines` finds the centrelines.

line = np.column_stack([np.zeros(20), np.zeros(20), np.linspace(0, 600, 20)])
neck = ns.measure_neck(
    molecules_found.xyz_nm,
    line,
    precision_nm=molecules_found.precision_nm,
    label="membrane",
    molecule=np.arange(len(molecules_found)),
)
found = neck.constriction
interval = f"{found.low_nm:.1f} to {found.high_nm:.1f}"
print(f"neck {found.diameter_nm:.1f} nm (95 %: {interval}); planted 110")

# %%
# Other first steps with real recordings: :func:`nanospine.efo_cut` and :func:`nanospine.cfr_cut`
# (with :func:`nanospine.propose_cuts`), :func:`nanospine.trim_traces` for the first localizations
# of a trace, :func:`nanospine.assign_dcr` for two dyes. On the command line: ``nanospine filter
# recording.npy clean.parquet --steps`` lists them.
