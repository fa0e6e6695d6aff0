"""Qhull through scipy, made consistent where points are cospherical or coplanar."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.errors import GeometryError

__all__ = ["simplex_volumes", "triangulate"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Displacements tried, as fractions of the extent, where Qhull's answer is not a triangulation:
# the first is 0.0001 nm for a field of 10 um, far below any localization precision.
_JOGGLE = (0.0, 1e-8, 1e-7, 1e-6)


def simplex_volumes(points: FloatArray, simplices: IntArray) -> FloatArray:
    """Signed volumes of tetrahedra (areas of triangles), shape (m,)."""
    first = points[simplices[:, 0]]
    edges = [points[simplices[:, k]] - first for k in range(1, simplices.shape[1])]
    if len(edges) == 2:
        (ax, ay), (bx, by) = edges[0].T, edges[1].T
        return np.asarray((ax * by - ay * bx) / 2.0)
    return np.asarray(np.einsum("ij,ij->i", edges[0], np.cross(edges[1], edges[2])) / 6.0)


def triangulate(centred: FloatArray) -> tuple[IntArray, IntArray]:
    """Give simplices of positive orientation and their neighbours, each the other's.

    Where points are cospherical, Qhull cuts the common cell into simplices of no volume, some of
    which overlap and name each other wrongly as neighbours. Such an answer is found by comparing
    every facet from its two sides; the points are then triangulated again after a displacement of
    1e-8 of their extent, which decides every tie the same way on all sides. It depends on the
    points' places only and not on their order.

    Parameters
    ----------
    centred : ndarray, shape (n, dimension)
        Different points, centred.
    """
    extent = float(np.abs(centred).max())
    rank = np.argsort(np.lexsort(centred.T[::-1]))
    for fraction in _JOGGLE:
        points = centred
        if fraction:
            shift = np.random.default_rng(0).uniform(-1.0, 1.0, centred.shape)
            points = centred + fraction * extent * shift[rank]
        simplices, neighbors = _oriented(points, *_qhull(points))
        if _consistent(simplices, neighbors):
            return simplices, neighbors
    raise GeometryError(
        f"delaunay: Qhull gave no consistent triangulation of the {len(centred)} different points; "
        "look for points far away from all others (crop first)."
    )


def _qhull(centred: FloatArray) -> tuple[IntArray, IntArray]:
    from scipy.spatial import Delaunay as Qhull
    from scipy.spatial import QhullError

    try:
        # Q12 lets wide facets pass, which occur with many cospherical points; Qz adds a point at
        # infinity, which grids need; the others are scipy's defaults.
        result = Qhull(centred, qhull_options="Qbb Qc Qz Q12")
    except QhullError as error:
        lines = str(error).strip().splitlines()
        raise GeometryError(
            f"delaunay: Qhull could not triangulate the {len(centred)} different points "
            f"({lines[0] if lines else 'no reason given'}); look for points far away from all "
            "others, or points almost on one plane."
        ) from error
    return result.simplices.astype(np.int64), result.neighbors.astype(np.int64)


def _oriented(
    points: FloatArray, simplices: IntArray, neighbors: IntArray
) -> tuple[IntArray, IntArray]:
    """Swap two vertices (and their neighbours) where the volume is negative."""
    negative = simplex_volumes(points, simplices) < 0
    for array in (simplices, neighbors):
        array[negative, :2] = array[negative, 1::-1]
    return simplices, neighbors


@njit(cache=True)
def _consistent(simplices, neighbors):  # type: ignore[no-untyped-def]
    """Tell whether every facet is seen the opposite way round from its two sides."""
    corners = simplices.shape[1]
    for t in range(simplices.shape[0]):
        for j in range(corners):
            other = neighbors[t, j]
            if other < 0:
                continue
            back = -1
            for k in range(corners):
                if neighbors[other, k] == t:
                    # a pair that shares two facets is a fold
                    if back >= 0:
                        return False
                    back = k
            if back < 0:
                return False
            # Both facets as rows of vertices without the opposite one: the signs of their places
            # and the sign of the permutation between them must make them opposite.
            parity = j + back
            for p in range(corners):
                if p == j:
                    continue
                place = -1
                for q in range(corners):
                    if simplices[other, q] == simplices[t, p]:
                        place = q
                if place < 0 or place == back:
                    return False
                for p2 in range(p + 1, corners):
                    if p2 == j:
                        continue
                    place2 = -1
                    for q in range(corners):
                        if simplices[other, q] == simplices[t, p2]:
                            place2 = q
                    if place2 < place:
                        parity += 1
            if parity % 2 == 0:
                return False
    return True
