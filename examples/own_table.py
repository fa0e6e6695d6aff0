"""Read a table of your own (written here, so that the example runs), filter it, wrap it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import nanospine as ns
from nanospine.points.filtering import keep_range

rng = np.random.default_rng(0)
shell = rng.normal(size=(5000, 3))
shell *= 0.4 / np.linalg.norm(shell, axis=1, keepdims=True)
photons = rng.integers(200, 3000, 5000)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "cell1.csv"
    rows = "".join(
        f"{x:.5f},{y:.5f},{z:.5f},{n}\n" for (x, y, z), n in zip(shell, photons, strict=True)
    )
    path.write_text("x,y,z,photons\n" + rows)
    try:
        ns.read(path)
    except ns.NanospineError as error:
        print(f"As it should be: {error}")
    locs = ns.read(path, units="um")

bright = keep_range(locs, "photons", low=500)
print(f"{len(bright)} of {len(locs)} localizations have at least 500 photons")
surface = ns.envelope(bright)
print(f"volume {surface.volume_nm3 / 1e9:.3f} µm³; a ball of 400 nm radius has 0.268")
for step in bright.history:
    print(step["operation"], step["arguments"])
