"""Measure a neck along a centreline that you know, with the localization precision taken out."""

from __future__ import annotations

import numpy as np

import nanospine as ns

rng = np.random.default_rng(1)
true_diameter_nm, precision_nm, n = 120.0, 15.0, 2000
angle = rng.uniform(0, 2 * np.pi, n)
tube = np.column_stack(
    [
        rng.uniform(0, 600, n),
        true_diameter_nm / 2 * np.cos(angle),
        true_diameter_nm / 2 * np.sin(angle),
    ]
)
seen = tube + rng.normal(0, precision_nm, tube.shape)
centreline_nm = np.column_stack([np.linspace(0, 600, 61), np.zeros(61), np.zeros(61)])

profile = ns.measure_neck(seen, centreline_nm, precision_nm=precision_nm, label="membrane")
found = profile.constriction
print(f"true diameter {true_diameter_nm:.0f} nm, measured at the constriction "
      f"{found.diameter_nm:.0f} nm ({found.low_nm:.0f} to {found.high_nm:.0f}, 95 %)")  # fmt: skip
middle = profile.diameter_nm[np.isfinite(profile.diameter_nm)]
print(f"mean of the profile {middle.mean():.0f} nm")
naive = 2 * np.sqrt((seen[:, 1:] ** 2).sum(axis=1).mean())
print(f"without taking the precision out it would be {naive:.0f} nm")
