"""To 3D Slicer and back: NRRD out, a segmentation (.seg.nrrd) in.

In Slicer: Add Data, Segment Editor, segments named "shaft" and "spine", save as .seg.nrrd. Slicer
shows micrometres as millimetres.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import nanospine as ns

cell = ns.simulate.spine("mushroom", seed=1)  # a dendrite along x with one spine, towards -y
locs = ns.from_arrays(cell.mesh.sample(8000, seed=1), precision_nm=10.0)

with TemporaryDirectory() as folder:
    image = Path(folder) / "cell.nrrd"
    volume = ns.voxelize(cell.mesh, 40.0)
    ns.write_volume(volume.with_data(volume.data.astype(np.uint8)), image)

    # Slicer's part: the segments that a person paints, on the voxels of the image.
    seen = ns.read_volume(image)
    y = seen.to_xyz_nm(np.argwhere(np.ones(seen.shape)))[:, 1].reshape(seen.shape)
    painted = np.where(seen.data > 0, np.where(y < -480, 2, 1), 0).astype(np.uint8)
    segments = ns.LabelGrid(painted, seen.voxel_nm, seen.origin_nm, {1: "shaft", 2: "spine"})
    ns.write_volume(segments, Path(folder) / "cell.seg.nrrd", sidecar=False)

    # Names of segments are roles; the file's own place must be that of the sidecar.
    labels = ns.read_labels(Path(folder) / "cell.seg.nrrd", sidecar=f"{image}.nanospine.json")

spines = ns.spines_from_labels(labels, locs)
found = ns.labels_to_points(labels, locs, reach_nm=60.0)  # -1: beyond the volume
row = spines.table.iloc[0]
print(f"{(found == 2).sum()} localizations on the spine; {row['type']}, {row['length_nm']:.0f} nm")
