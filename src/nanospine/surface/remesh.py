"""Even triangles of a chosen edge length on a closed surface, which stays where it is.

Strategy (Botsch and Kobbelt 2004): long edges are split, short ones collapsed, edges flipped where
that brings vertices nearer to six neighbours, vertices moved to the middle of their neighbours
within the surface and put back onto the original; then again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.spatial import cKDTree

from nanospine.core.errors import GeometryError
from nanospine.core.triangles import TriangleTree
from nanospine.surface.enveloped import Envelope
from nanospine.surface.feet import unit_normals
from nanospine.surface.intersections import self_intersections
from nanospine.surface.remesh_steps import collapse, flip

__all__ = ["remesh", "remeshed"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Edges longer than the first times the length are split, shorter than the second collapsed: after
# a split or a collapse an edge is nearer to the length than before.
_LONG, _SHORT = 4 / 3, 4 / 5
_MOST_FACES = 20_000_000


def remeshed(
    mesh: trimesh.Trimesh, std_nm: FloatArray, edge_nm: float
) -> tuple[trimesh.Trimesh, FloatArray]:
    """Remesh; every new vertex has the deviation of the old one that is nearest."""
    even = remesh(mesh, edge_nm)
    return even, std_nm[cKDTree(mesh.vertices).query(even.vertices)[1]]


def remesh(
    surface: Envelope | trimesh.Trimesh, edge_nm: float, *, rounds: int = 8
) -> trimesh.Trimesh:
    """Give a closed surface even triangles with edges of about one length.

    Parameters
    ----------
    surface : Envelope or trimesh.Trimesh
        Closed; several bodies are allowed.
    edge_nm : float
        Edge length, nanometres. What is thinner than about three edges loses its shape.
    rounds : int
        How often edges are split, collapsed and flipped and vertices moved.

    Returns
    -------
    trimesh.Trimesh
        As closed as before and of the same genus; the volume is that of the original.

    Raises
    ------
    GeometryError
        When the surface is not closed; when the length is not positive, or so short that more than
        20 million faces would be needed.

    Examples
    --------
    >>> ball = trimesh.creation.icosphere(2, radius=100)
    >>> even = remesh(ball, 15.0)
    >>> even.is_volume, bool(abs(even.volume / ball.volume - 1) < 0.002)
    (True, True)
    >>> round(float(np.median(even.edges_unique_length)))
    15
    """
    mesh = surface.mesh if isinstance(surface, Envelope) else surface
    if not (np.isreal(edge_nm) and np.isfinite(edge_nm) and edge_nm > 0):
        raise GeometryError(f"remesh: edge_nm must be a positive length, found {edge_nm!r}.")
    if not mesh.is_watertight:
        raise GeometryError("remesh: a closed surface was expected, found open edges.")
    if mesh.area > _MOST_FACES * 0.43 * edge_nm**2:
        raise GeometryError(
            f"remesh: edges of {edge_nm:g} nm on {mesh.area:.3g} nm² make more than "
            f"{_MOST_FACES} faces; give a longer edge_nm."
        )
    vertices = np.array(mesh.vertices, dtype=np.float64)
    faces = np.array(mesh.faces, dtype=np.int64)
    volume = float(mesh.volume)
    tree = TriangleTree(vertices, faces)
    longest = _LONG * float(edge_nm)
    for number in range(max(int(rounds), 1)):
        for _ in range(40 if number == 0 else 1):
            before = len(faces)
            vertices, faces = _split(vertices, faces, longest)
            if len(faces) == before:
                break
        for _ in range(20 if number == 0 else 2):
            before = len(faces)
            vertices, faces = _compact(*collapse(vertices, faces, _SHORT * edge_nm, longest))
            if len(faces) > 0.98 * before:
                break
        faces = flip(vertices, faces)
        vertices = np.asarray(tree.closest(_centred(vertices, faces))[1])
    vertices = _with_volume(vertices, faces, volume)
    return trimesh.Trimesh(vertices, faces, process=False)


def _edges(faces: IntArray) -> tuple[IntArray, IntArray]:
    """Unique edges, shape (e, 2), and the edge of each side (k to k + 1) of the faces, (m, 3)."""
    sides = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    key = sides[:, 0] * (int(faces.max()) + 1) + sides[:, 1]
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return sides[first], np.asarray(which).reshape(-1, 3)


def _split(vertices: FloatArray, faces: IntArray, longest: float) -> tuple[FloatArray, IntArray]:
    """Cut edges that are too long in their middles, and the faces beside them to match."""
    edges, side = _edges(faces)
    ends = vertices[edges]
    long = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1) > longest
    if not long.any():
        return vertices, faces
    middle = np.full(len(edges), -1, dtype=np.int64)
    middle[long] = len(vertices) + np.arange(long.sum())
    at = middle[side]
    cuts = (at >= 0).sum(axis=1)
    new = [faces[cuts == 0]]
    for number in (1, 2, 3):
        rows = np.flatnonzero(cuts == number)
        # turn each so that its cut sides (or, of two, those around the last corner) come first
        start = np.argmax(at[rows] >= 0, axis=1)
        if number == 2:
            start = (np.argmin(at[rows] >= 0, axis=1) + 1) % 3
        turn = (start[:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(faces[rows], turn, axis=1).T
        ab, bc, ca = np.take_along_axis(at[rows], turn, axis=1).T
        if number == 1:
            parts = [(a, ab, c), (ab, b, c)]
        elif number == 2:
            parts = [(ab, b, bc), (a, ab, bc), (a, bc, c)]
        else:
            parts = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        new += [np.stack(part, axis=1) for part in parts]
    return np.concatenate([vertices, ends[long].mean(axis=1)]), np.concatenate(new)


def _compact(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """Leave out vertices that no face uses."""
    used, numbered = np.unique(faces, return_inverse=True)
    return vertices[used], np.asarray(numbered, dtype=np.int64).reshape(-1, 3)


def _centred(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Vertices moved half-way to the middle of their neighbours, within the surface."""
    n = len(vertices)
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    degree = np.maximum(np.bincount(start, minlength=n), 1)
    mean = np.stack([np.bincount(start, vertices[end, k], n) for k in range(3)], axis=1)
    step = 0.5 * (mean / degree[:, None] - vertices)
    normals, _, _ = unit_normals(vertices, faces)
    return np.asarray(vertices + step - (step * normals).sum(axis=1, keepdims=True) * normals)


def _with_volume(vertices: FloatArray, faces: IntArray, volume: float) -> FloatArray:
    """Move all vertices along their normals by the same small length, to the volume asked for.

    Not where the surface would cut itself more often than before.
    """
    moved = vertices
    for _ in range(3):
        normals, areas, _ = unit_normals(moved, faces)
        missing = volume - float(trimesh.Trimesh(moved, faces, process=False).volume)
        moved = moved + normals * (missing / areas.sum())
    before = len(self_intersections(trimesh.Trimesh(vertices, faces, process=False)))
    after = len(self_intersections(trimesh.Trimesh(moved, faces, process=False)))
    return moved if after <= before else vertices
