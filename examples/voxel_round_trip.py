"""Localizations to voxels, to a raster tool, and its labels back onto every localization.

The segmenter here is Otsu's threshold; any program that reads the written file takes its place.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import nanospine as ns

# Two protrusions on a shaft: balls and a rod of localizations, 12 nm precise, 25 nm along z.
rng = np.random.default_rng(1)
shaft = np.column_stack([rng.uniform(0, 4000, 30_000), rng.normal(0, 120, (30_000, 2))])
heads = [rng.normal((x, 700, 0), 110, (6_000, 3)) for x in (1200, 2900)]
locs = ns.from_arrays(np.concatenate([shaft, *heads]), precision_nm=(12, 12, 25))

with TemporaryDirectory() as folder:
    # Each localization as a Gaussian of its own precision; TIFF that Fiji and Icy open calibrated.
    volume = ns.voxelize(locs, (40, 25, 25), mode="gaussian")
    image = ns.write_volume(volume, Path(folder) / "dendrite.tif")
    print(f"volume {volume.shape} of {volume.voxel_nm} nm; {volume.notes[0]}")

    # The tool's part: labels on the same voxels, in a file of its own.
    labels = ns.segment(ns.read_volume(image), "otsu", scale="all")
    result = ns.write_volume(labels, Path(folder) / "labels.tif")

    # Back: the sidecar of what the tool was given decides where its voxels are.
    labels = ns.read_labels(result, sidecar=f"{image}.nanospine.json")

found = ns.labels_to_points(labels, locs)  # 0 is background, -1 beyond the volume
meshes = ns.labels_to_meshes(labels)
print(
    f"{(found > 0).mean():.0%} of the localizations have a label, {(found < 0).sum()} lie outside"
)
for label, mesh in meshes.items():
    print(f"label {label}: {mesh.volume / 1e9:.3f} um3, closed: {mesh.is_watertight}")
