"""To napari and back: layers with scale and translation, painted labels in the same place.

napari's own TIFF writer drops the scale: take `layer.data` of the labels, as here, or save .npy.
"""

import numpy as np

import nanospine as ns

cell = ns.simulate.spine("mushroom", seed=1)  # a dendrite along x with one spine, towards -y
locs = ns.from_arrays(cell.mesh.sample(8000, seed=1), precision_nm=10.0)

volume = ns.voxelize(cell.mesh, 40.0)
place = {"scale": volume.voxel_nm, "translate": volume.origin_nm}  # z, y, x in nm
layers = [
    (volume.data.astype(np.uint8), {"name": "dendrite", **place}, "image"),
    (np.zeros(volume.shape, np.uint8), {"name": "painted", **place}, "labels"),
    (locs.xyz_nm[:, ::-1], {"name": "localizations", "size": 20}, "points"),
]
# In napari: for data, options, kind in layers: getattr(viewer, f"add_{kind}")(data, **options)

# The person's part: paint shaft and spine.
painted = layers[1][0]
y = volume.to_xyz_nm(np.argwhere(np.ones(volume.shape)))[:, 1].reshape(volume.shape)
painted[volume.data] = np.where(y < -480, 2, 1)[volume.data]

labels = ns.LabelGrid(painted, volume.voxel_nm, volume.origin_nm, {1: "shaft", 2: "spine"})

spines = ns.spines_from_labels(labels, locs)
found = ns.labels_to_points(labels, locs, reach_nm=60.0)  # -1: beyond the volume
row = spines.table.iloc[0]
print(f"{(found == 2).sum()} localizations on the spine; {row['type']}, {row['length_nm']:.0f} nm")
