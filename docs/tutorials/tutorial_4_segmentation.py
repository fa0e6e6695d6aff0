"""
Segmentation: labels of voxels
==============================

You have image stacks, or a segmenter that takes voxels. A grid of voxels knows how large its
voxels are and where it lies, so that labels go back to localizations and meshes without guessing.
"""

import numpy as np

import nanospine as ns

# %%
# A stack with a dendrite of known shape: the inside of a simulated mesh, blurred and noisy, as a
# microscope would show it. Arrays are ordered z, y, x.

from nanospine.voxels.rasterize import mesh_to_mask
from scipy import ndimage

shape = ns.simulate.dendrite(2500, ["mushroom", "thin"], seed=3, voxel_nm=35)
truth = mesh_to_mask(shape.mesh, 50.0)
random = np.random.default_rng(0)
image = 100 * ndimage.gaussian_filter(truth.data.astype(float), 1.0) + 20
stack = ns.VoxelGrid(random.poisson(image).astype(float), truth.voxel_nm, truth.origin_nm)
print(stack.data.shape, "voxels of", stack.voxel_nm, "nm")

# %%
# What is there:

for info in ns.segmenters():
    print(f"{info.name:14s} {info.gives:8s} {info.title}")

# %%
# Every segmenter is called the same way and gives labels on the same grid, with what each label
# means.

labels = ns.segment(stack, "otsu")
inside = labels.labels > 0
dice = 2 * (inside & truth.data).sum() / (inside.sum() + truth.data.sum())
print(labels.roles, f"overlap with the truth (Dice) {dice:.2f}")
print(labels.table.round(1).to_string())

# %%
# A segmenter of your own is any function of the grid: see :doc:`/howto/segmenter`.


def bright(grid, threshold=60.0):
    """Label what is brighter than a threshold."""
    return (grid.data > threshold).astype(np.int64)


own = ns.segment(stack, bright, threshold=70.0)
print(own.roles, int((own.labels > 0).sum()), "voxels")
