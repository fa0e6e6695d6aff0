"""A protrusion sliced by the distance from its base: its centreline and its girth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.spines.protrusion import Gap
from nanospine.spines.shaft import smooth_path

__all__ = [
    "Cutter", "Levels", "bridged", "over_gaps", "part_of", "slice_levels", "surface_centreline_nm",
    "vertex_areas_nm2",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SLICE_NM = 40.0


@dataclass(frozen=True, eq=False)
class Levels:
    """Slices of a surface between levels of distance from the base.

    Attributes
    ----------
    distance_nm : ndarray, shape (k,)
        Middle of each slice.
    centre_nm : ndarray, shape (k, 3)
        Centroid of the surface in the slice.
    girth_nm : ndarray, shape (k,)
        Area of the slice over its width: the perimeter where the surface runs along the spine.
    """

    distance_nm: FloatArray
    centre_nm: FloatArray
    girth_nm: FloatArray


def part_of(
    mesh: trimesh.Trimesh, faces: npt.NDArray[np.bool_] | IntArray
) -> tuple[trimesh.Trimesh, IntArray]:
    """Cut out some faces, marked or numbered; as a mesh, and the old number of each vertex."""
    chosen = np.asarray(mesh.faces)[faces]
    old, new = np.unique(chosen, return_inverse=True)
    part = trimesh.Trimesh(np.asarray(mesh.vertices)[old], new.reshape(-1, 3), process=False)
    return part, old.astype(np.int64)


class Cutter:
    """Cuts parts out of a mesh; each costs what it is large, not what the mesh is.

    Examples
    --------
    >>> ball = trimesh.creation.icosphere(subdivisions=2)
    >>> top = np.argsort(-ball.vertices[:, 2])[:6]
    >>> len(Cutter(ball).around(top).faces)
    4
    """

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        self.mesh = mesh
        lowest = np.asarray(mesh.faces).min(axis=1)
        self._order = np.argsort(lowest, kind="stable")
        self._begin = np.searchsorted(lowest[self._order], np.arange(len(mesh.vertices) + 1))

    def around(self, vertices: IntArray) -> trimesh.Trimesh:
        """Cut out the faces all of whose corners are among some vertices."""
        known = np.unique(vertices)
        begin, count = self._begin[known], self._begin[known + 1] - self._begin[known]
        skipped = np.repeat(begin - np.cumsum(count) + count, count)
        faces = np.sort(self._order[skipped + np.arange(len(skipped))])
        corners = np.asarray(self.mesh.faces)[faces]
        return part_of(self.mesh, faces[np.isin(corners, known).all(axis=1)])[0]


def vertex_areas_nm2(mesh: trimesh.Trimesh) -> FloatArray:
    """A third of the area of the faces around each vertex, shape (n_vertices,)."""
    area = np.repeat(np.asarray(mesh.area_faces) / 3, 3)
    total = np.bincount(mesh.faces.ravel(), weights=area, minlength=len(mesh.vertices))
    return total.astype(np.float64)


def slice_levels(vertices_nm: FloatArray, area_nm2: FloatArray, distance_nm: FloatArray) -> Levels:
    """Slice a protrusion into levels of 40 nm of distance from its base.

    Parameters
    ----------
    vertices_nm, area_nm2, distance_nm : ndarray, shape (n, 3), (n,), (n,)
        Vertices of the protrusion, the area each stands for, its distance from the base.
    """
    count = max(int(np.ceil(distance_nm.max() / _SLICE_NM)), 1)
    index = np.minimum((distance_nm / _SLICE_NM).astype(np.int64), count - 1)
    area = np.bincount(index, weights=area_nm2, minlength=count).astype(np.float64)
    centre = np.stack(
        [np.bincount(index, weights=area_nm2 * c, minlength=count) for c in vertices_nm.T], axis=1
    )
    full = area > 0
    middle = (np.arange(count) + 0.5) * _SLICE_NM
    mean = np.asarray(centre[full] / area[full, None], dtype=np.float64)
    girth = np.asarray(area[full] / _SLICE_NM, dtype=np.float64)
    return Levels(np.asarray(middle[full], dtype=np.float64), mean, girth)


def bridged(levels: Levels, fork_nm: float) -> Levels:
    """Leave out the levels below a fork in which its ways run side by side in one surface.

    What lies in the crotch between two ways is too narrow for an envelope to enter: there the
    centroid is between the ways, on neither. From the fork downward, levels whose girth is more
    than a quarter above the least one below are left out; the centreline goes straight past them.
    """
    below = levels.distance_nm < fork_nm
    if below.sum() < 2:
        return levels
    narrow = levels.girth_nm <= 1.25 * float(np.min(levels.girth_nm[below]))
    last = int(np.flatnonzero(below & narrow)[-1])
    keep = ~below
    keep[: last + 1] = True
    return Levels(levels.distance_nm[keep], levels.centre_nm[keep], levels.girth_nm[keep])


def over_gaps(levels: Levels, gaps: tuple[Gap, ...]) -> Levels:
    """Add the ways over gaps in the envelope, as levels without girth."""
    for gap in gaps:
        arc = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(gap.path_nm, axis=0), axis=1)))
        distance = np.append(levels.distance_nm, gap.from_nm + arc)
        order = np.argsort(distance, kind="stable")
        levels = Levels(
            distance[order],
            np.concatenate([levels.centre_nm, gap.path_nm])[order],
            np.append(levels.girth_nm, np.zeros(len(arc)))[order],
        )
    return levels


def surface_centreline_nm(
    levels: Levels, tip_nm: FloatArray, outward: FloatArray, base_nm: float, step_nm: float = 20.0
) -> FloatArray:
    """Centreline of a spine from the shaft's surface to its tip, shape (k, 3), even steps.

    The centroids of the levels, smoothed over 60 nm, continued by `base_nm` against `outward`
    (the direction away from the shaft) to the shaft's surface, and to the tip.
    """
    start = levels.centre_nm[0] - base_nm * outward
    rough = np.concatenate([start[None], levels.centre_nm, tip_nm[None]])
    # The last level before the tip is a cap whose centroid lies beside or beyond the tip's foot:
    # a centreline must not turn back on itself there.
    keep = np.ones(len(rough), dtype=bool)
    if len(rough) > 3:
        ahead = rough[-1] - rough[-3]
        keep[-2] = (rough[-1] - rough[-2]) @ ahead > 0
    return smooth_path(rough[keep], step_nm, 60.0)
