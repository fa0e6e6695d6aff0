"""A surface around voxels that is closed whatever the voxels are: marching tetrahedra."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt

__all__ = ["closed_surface"]

# Corners of a tetrahedron, those inside first: the edges that each triangle cuts.
_ONE_IN = [[(0, 1), (0, 2), (0, 3)]]
_TWO_IN = [[(0, 2), (0, 3), (1, 3)], [(0, 2), (1, 3), (1, 2)]]
_THREE_IN = [[(3, 0), (3, 1), (3, 2)]]


def closed_surface(
    mask: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Give vertices (z, y, x in voxels) and faces of a surface between True and False.

    Each cube of eight voxel centres is cut into six tetrahedra that fit those of its neighbours; a
    function that is linear in each has a level set without holes, crossings or doubled edges.
    Marching cubes has doubled edges where voxels touch at an edge or a corner only.

    Parameters
    ----------
    mask : ndarray of bool
        False at its faces.

    Examples
    --------
    >>> mask = np.zeros((4, 4, 4), dtype=bool)
    >>> mask[1, 1, 1] = mask[2, 2, 1] = True
    >>> vertices, faces = closed_surface(mask)
    >>> edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    >>> set(np.unique(edges, axis=0, return_counts=True)[1].tolist())
    {2}
    """
    inside = mask[:-1, :-1, :-1].astype(np.int8)
    total = np.zeros(inside.shape, dtype=np.int8)
    sizes = inside.shape
    for dz, dy, dx in np.ndindex(2, 2, 2):
        total += mask[dz : dz + sizes[0], dy : dy + sizes[1], dx : dx + sizes[2]]
    cubes = np.argwhere((total > 0) & (total < 8))
    triangles = [_cut(cubes, order, mask) for order in permutations(range(3))]
    doubled = np.concatenate(triangles).reshape(-1, 3)
    # Twice the middle of an edge is a whole number, and no other edge has it.
    extent = 2 * np.array(mask.shape)
    keys, faces = np.unique(np.ravel_multi_index(doubled.T, extent), return_inverse=True)
    vertices = np.stack(np.unravel_index(keys, extent), axis=1) / 2.0
    return vertices, faces.reshape(-1, 3).astype(np.int64)


def _cut(
    cubes: npt.NDArray[np.int64], order: tuple[int, ...], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Triangles, shape (n, 3, 3), of the tetrahedra that go along the axes in this order."""
    steps = np.zeros((4, 3), dtype=np.int64)
    for k, axis in enumerate(order):
        steps[k + 1 :, axis] = 1
    corners = cubes[:, None] + steps
    values = mask[tuple(np.moveaxis(corners, -1, 0))]
    first = np.argsort(~values, axis=1, kind="stable")
    corners = np.take_along_axis(corners, first[..., None], axis=1)
    count = values.sum(axis=1)
    found = []
    for n, table in ((1, _ONE_IN), (2, _TWO_IN), (3, _THREE_IN)):
        here = corners[count == n]
        outwards = here[:, n:].mean(axis=1) - here[:, :n].mean(axis=1)
        for edges in table:
            triangle = np.stack([here[:, a] + here[:, b] for a, b in edges], axis=1)
            normal = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
            flip = (normal * outwards).sum(axis=1) < 0
            triangle[flip] = triangle[flip][:, ::-1]
            found.append(triangle)
    return np.concatenate(found)
