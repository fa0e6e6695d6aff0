"""To DeepD3 and back: planes at its voxel size out, its dendrite and ROI maps in.

In DeepD3's window: open the stack, type 0.094 and 0.5 micrometres, segment, save the maps as TIFF.
Without DeepD3 installed its weights run here: ns.segment(volume, ns.DeepD3Model("DeepD3_8F.h5")).
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile

import nanospine as ns

cell = ns.simulate.spine("mushroom", seed=1)  # a dendrite along x with one spine, towards -y
locs = ns.from_arrays(cell.mesh.sample(8000, seed=1), precision_nm=10.0)

with TemporaryDirectory() as folder:
    stack = Path(folder) / "cell.tif"
    volume = ns.voxelize(cell.mesh, preset="deepd3", voxel_nm=(94, 94, 94))
    ns.write_volume(volume, stack)
    constant = sum(np.ptp(plane) == 0 for plane in volume.data)
    print(f"{len(volume.data)} planes of {volume.voxel_nm[1]:.0f} nm, {constant} of them constant")

    # DeepD3's part: a probability map of the dendrite (uint8) and a map of spine ids (uint16).
    pixels = tifffile.imread(stack)
    y = volume.to_xyz_nm(np.argwhere(np.ones(volume.shape)))[:, 1].reshape(volume.shape)
    tifffile.imwrite(Path(folder) / "dendrite.tif", ((pixels > 127) * 255).astype(np.uint8))
    tifffile.imwrite(Path(folder) / "rois.tif", ((pixels > 127) & (y < -480)).astype(np.uint16))

    # Both maps have lost their place; the stack's sidecar knows it.
    sidecar = f"{stack}.nanospine.json"
    dendrite = ns.read_volume(Path(folder) / "dendrite.tif", sidecar=sidecar)
    rois = ns.read_labels(Path(folder) / "rois.tif", sidecar=sidecar)

merged = np.where(rois.labels > 0, rois.labels + 1, dendrite.data > 0.7 * 255)
roles = {1: "shaft"} | {int(n) + 1: "spine" for n in np.unique(rois.labels) if n}
labels = ns.LabelGrid(merged.astype(np.uint16), rois.voxel_nm, rois.origin_nm, roles)

# Its blur has parted the neck, so the surface of the localizations takes the labels.
surface = ns.envelope(locs)
spines = ns.spines_from_labels(labels, locs, envelope=surface)
found = ns.labels_to_points(labels, locs, reach_nm=60.0)  # -1: beyond the volume
row = spines.table.iloc[0]
print(f"{(found == 2).sum()} localizations on the spine; {row['type']}, {row['length_nm']:.0f} nm")
