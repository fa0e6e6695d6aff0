"""To Fiji or Icy and back: a TIFF that opens calibrated, labels from a plain TIFF.

In Fiji: File > Open, Image > Adjust > Threshold, MorphoLibJ > Label images, save as TIFF.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile

import nanospine as ns

cell = ns.simulate.spine("mushroom", seed=1)  # a dendrite along x with one spine, towards -y
locs = ns.from_arrays(cell.mesh.sample(8000, seed=1), precision_nm=10.0)

with TemporaryDirectory() as folder:
    image = Path(folder) / "cell.tif"
    volume = ns.voxelize(cell.mesh, 40.0, mode="smoothed", psf_nm=20.0, peak=255.0)
    ns.write_volume(volume, image)

    # Fiji's part: it reads pixels and calibration; what it saves may keep neither place nor size.
    with tifffile.TiffFile(image) as tif:
        pixels = tif.asarray()
        print(f"Fiji sees {pixels.shape}, spacing {tif.imagej_metadata['spacing']} micron")
    y = volume.to_xyz_nm(np.argwhere(np.ones(volume.shape)))[:, 1].reshape(volume.shape)
    drawn = np.where(pixels > 127, np.where(y < -480, 2, 1), 0)
    tifffile.imwrite(Path(folder) / "labels.tif", drawn.astype(np.uint16))

    labels = ns.read_labels(
        Path(folder) / "labels.tif",
        sidecar=f"{image}.nanospine.json",
        roles={1: "shaft", 2: "spine"},
    )

spines = ns.spines_from_labels(labels, locs)
found = ns.labels_to_points(labels, locs, reach_nm=60.0)  # -1: beyond the volume
row = spines.table.iloc[0]
print(f"{(found == 2).sum()} localizations on the spine; {row['type']}, {row['length_nm']:.0f} nm")
