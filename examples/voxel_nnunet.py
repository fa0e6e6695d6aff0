"""To nnU-Net v2 and back: a folder of cases out, its folder of predictions in.

Between the two: nnUNetv2_predict -i imagesTs -o predictions -d 1 -c 3d_fullres. Training data in
its layout (dataset.json): nanospine simulate -o raw --volumes 20 --layout nnunet.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile

import nanospine as ns

cell = ns.simulate.spine("mushroom", seed=1)  # a dendrite along x with one spine, towards -y
locs = ns.from_arrays(cell.mesh.sample(8000, seed=1), precision_nm=10.0)

with TemporaryDirectory() as folder:
    images, predictions = Path(folder) / "imagesTs", Path(folder) / "predictions"
    volume = ns.voxelize(cell.mesh, 40.0, mode="smoothed", psf_nm=20.0, peak=255.0)
    ns.write_volume(volume, images / "cell", format="nnunet")
    print("nnU-Net is given", ", ".join(sorted(path.name for path in images.iterdir())))

    # nnU-Net's part: CASE.tif of class numbers (1 dendrite, 2 spine), without a place.
    pixels = tifffile.imread(images / "cell_0000.tif")
    y = volume.to_xyz_nm(np.argwhere(np.ones(volume.shape)))[:, 1].reshape(volume.shape)
    predictions.mkdir()
    classes = np.where(pixels > 127, np.where(y < -480, 2, 1), 0).astype(np.uint8)
    tifffile.imwrite(predictions / "cell.tif", classes)

    labels = ns.read_labels(
        predictions / "cell.tif",
        sidecar=images / "cell.nanospine.json",
        roles={1: "shaft", 2: "spine"},
    )

spines = ns.spines_from_labels(labels, locs)
found = ns.labels_to_points(labels, locs, reach_nm=60.0)  # -1: beyond the volume
row = spines.table.iloc[0]
print(f"{(found == 2).sum()} localizations on the spine; {row['type']}, {row['length_nm']:.0f} nm")
