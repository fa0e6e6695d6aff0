"""Borders between spines that touch, moved to where their surfaces meet in a crease.

Two spines that touch meet in a crease; a border that runs over one smooth head gives a piece of
it to the neighbour. Of all ways to divide two neighbours the cheapest is taken: a border costs
its length, next to nothing in a crease, and what changes hands costs its area (minimum cut;
Boykov, Veksler and Zabih 2001, IEEE Trans. Pattern Anal. Mach. Intell. 23:1222, swap moves).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

__all__ = ["along_creases"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A border in a crease of this radius costs 1/e of its length.
_CREASE_NM = 1000.0
# What changes hands costs as much as a border of its area over this.
_GIVEN_NM = 700.0
# More than any border: what is held never changes hands.
_NEVER_NM = 1e6
_ROUNDS = 2
# Length of the border per length of an edge that crosses it, in a mesh of even triangles.
_DUAL = 1.0 / np.sqrt(3.0)
# Capacities of the cut are whole numbers.
_PER_NM = 10.0


def along_creases(
    mesh: trimesh.Trimesh,
    label: IntArray,
    area_nm2: FloatArray,
    held: npt.NDArray[np.bool_] | None = None,
) -> IntArray:
    """Move the borders between labels into the creases of a surface.

    Parameters
    ----------
    mesh : trimesh.Trimesh
    label : ndarray of int, shape (n_vertices,)
        Of each vertex; negative ones (the shaft) stay, and nothing becomes negative.
    area_nm2 : ndarray, shape (n_vertices,)
        That each vertex stands for.
    held : ndarray of bool, shape (n_vertices,), optional
        Vertices that keep their label, as the foot of a spine does.

    Returns
    -------
    ndarray of int, shape (n_vertices,)

    Examples
    --------
    Two balls that overlap; the border given runs over one of them:

    >>> ball = trimesh.creation.icosphere(subdivisions=4, radius=300)
    >>> other = ball.copy().apply_translation([0, 0, 500])
    >>> both = trimesh.util.concatenate([ball.slice_plane([0, 0, 250], [0, 0, -1]),
    ...                                  other.slice_plane([0, 0, 250], [0, 0, 1])])
    >>> both.merge_vertices(digits_vertex=3)
    >>> height = both.vertices[:, 2]
    >>> area = np.full(len(height), both.area / len(height))
    >>> found = along_creases(both, (height > 130).astype(np.int64), area)
    >>> bool((found == (height > 250))[abs(height - 250) > 40].all())
    True
    """
    edges = np.asarray(mesh.edges_unique, dtype=np.int64)
    ends = label[edges]
    if not ((ends >= 0).all(axis=1) & (ends[:, 0] != ends[:, 1])).any():
        return label  # nothing touches
    edges = edges[(ends >= 0).all(axis=1)]
    cost = _border_cost(mesh, edges)
    given = area_nm2 / _GIVEN_NM
    if held is not None:
        given = np.where(held, _NEVER_NM, given)
    for _ in range(_ROUNDS):
        before = label
        ends = np.sort(label[edges], axis=1)
        for one, other in np.unique(ends[ends[:, 0] < ends[:, 1]], axis=0):
            label = _divided(label, int(one), int(other), edges, cost, given)
        if (label == before).all():
            break
    return label


def _border_cost(mesh: trimesh.Trimesh, edges: IntArray) -> FloatArray:
    """Cost of a border across each edge: its length, less in a crease."""
    xyz, normal = np.asarray(mesh.vertices), np.asarray(mesh.vertex_normals)
    way = xyz[edges[:, 1]] - xyz[edges[:, 0]]
    length = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
    turn = normal[edges[:, 1]] - normal[edges[:, 0]]
    bend = np.einsum("ij,ij->i", turn, way) / length**2
    return np.asarray(_DUAL * length * np.exp(_CREASE_NM * np.minimum(bend, 0.0)))


def _divided(
    label: IntArray, one: int, other: int, edges: IntArray, cost: FloatArray, given: FloatArray
) -> IntArray:
    """Divide the vertices of two labels between them at the least cost."""
    members = np.flatnonzero((label == one) | (label == other))
    place = np.full(len(label), -1, dtype=np.int64)
    place[members] = np.arange(len(members))
    ends = place[edges]
    within = (ends >= 0).all(axis=1)
    i, j = ends[within].T
    is_one = label[members] == one
    count = len(members)
    source, sink = np.full(int(is_one.sum()), count), np.full(int((~is_one).sum()), count + 1)
    rows = np.concatenate([i, j, source, np.flatnonzero(~is_one)])
    columns = np.concatenate([j, i, np.flatnonzero(is_one), sink])
    value = np.concatenate(
        [cost[within], cost[within], given[members[is_one]], given[members[~is_one]]]
    )
    whole = np.maximum(np.rint(_PER_NM * value), 1).astype(np.int32)
    capacity = sparse.csr_matrix((whole, (rows, columns)), (count + 2, count + 2))
    left = capacity - maximum_flow(capacity, count, count + 1).flow
    left.eliminate_zeros()
    reached = breadth_first_order(left, count, return_predecessors=False)
    new = label.copy()
    new[members] = other
    new[members[reached[reached < count]]] = one
    return new
