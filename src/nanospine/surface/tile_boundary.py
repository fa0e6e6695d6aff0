"""The surface of more points than one machine holds: what each tile gives to it.

A facet counts in the tile of the lowest corner of its tetrahedron. With a halo of 4 alpha a tile
knows all tetrahedra around the corners of its facets: the corners lie within 2 alpha of that lowest
one, which is in the tile, and the circumspheres of what is around them reach 2 alpha more. So it
knows how its facets are joined with others, which of them share a vertex of the surface, and where
that stands; no tile asks another. A vertex counts in the tile of its first facet; the other tiles
that need it call it by that facet. What is left to do is to number
(:mod:`nanospine.surface.tile_joining`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanospine.surface.alpha_complex import tile_complex
from nanospine.surface.complex_surface import closed_boundary
from nanospine.surface.mesh import joined_facets, middles, set_apart, shared_joints, split_faces
from nanospine.surface.parts import part_of
from nanospine.surface.qhull import simplex_volumes
from nanospine.surface.tiles import Tile

__all__ = ["HALOS", "TileBoundary", "tile_boundary"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

#: Width of the halo in alphas.
HALOS = 4.0
# Keys of joints are told from those of vertices by this, more than any side and corner.
_JOINT = 12


@dataclass(frozen=True, eq=False)
class TileBoundary:
    """What a tile gives to the surface.

    Vertices are of three kinds: on points, in the middle of joints, in the middle of faces that
    were split; faces of two: whole, and pieces of split ones. In the joined surface one kind comes
    after the other, each by the row of the lowest corner of the tetrahedron behind, then as here.

    Attributes
    ----------
    positions : ndarray, shape (v + w, 3)
        Nanometres; of the `v` vertices of the tile, and of `w` of other tiles.
    vertex_row : ndarray of int64, shape (v,)
        Row in the source, rising within each kind.
    vertex_part : ndarray of int32, shape (v + w,)
        Part of the tile's surface.
    faces : ndarray of int32, shape (f, 3)
        Places in `positions`.
    face_row : ndarray of int64, shape (f,)
        Row in the source, rising within each kind.
    lent_key, lent : ndarray of int64, shapes (k, 5) and (k,)
        Vertices of the tile that others need: what they call them, and their places. The first
        column is the row, rising.
    needed_key : ndarray of int64, shape (w, 5)
        What the vertices of other tiles are called there; the first column rises.
    n_vertices, n_faces : tuple of int
        Of each kind, in the tile.
    n_points, n_tetrahedra : int
        In the tile, without its halo.
    volume_nm3 : float
        Of all tetrahedra of the tile.
    """

    positions: FloatArray = field(repr=False)
    vertex_row: IntArray = field(repr=False)
    vertex_part: npt.NDArray[np.int32] = field(repr=False)
    faces: npt.NDArray[np.int32] = field(repr=False)
    face_row: IntArray = field(repr=False)
    lent_key: IntArray = field(repr=False)
    lent: IntArray = field(repr=False)
    needed_key: IntArray = field(repr=False)
    n_vertices: tuple[int, int, int]
    n_faces: tuple[int, int]
    n_points: int
    n_tetrahedra: int
    volume_nm3: float


def tile_boundary(tile: Tile, alpha_nm: float, *, threads: int | None = None) -> TileBoundary:
    """Find what a tile with a halo of 4 alpha gives to the surface.

    Parameters
    ----------
    tile : Tile
        Of :class:`nanospine.surface.tiles.TiledPoints` with `halo_nm = 4 * alpha_nm`.
    alpha_nm : float
        Largest circumradius.
    threads : int, optional
        As for :func:`nanospine.delaunay`.

    Examples
    --------
    >>> from nanospine.surface.tiles import TiledPoints
    >>> points = np.random.default_rng(0).random((500, 3)) * 100
    >>> with TiledPoints(points, 4 * 15.0, 100) as tiled:
    ...     parts = [tile_boundary(tile, 15.0) for tile in tiled]
    >>> sum(part.n_points for part in parts)
    500
    >>> from nanospine.surface.alpha_complex import alpha_complex
    >>> sum(sum(part.n_faces) for part in parts) == len(
    ...     alpha_complex(points, 15.0).surface(points).faces)
    True
    """
    tetrahedra, _, sides = tile_complex(tile, alpha_nm, halo=True, threads=threads)
    mine = tetrahedra[tile.own[tetrahedra[:, 0]]]
    n_tetrahedra = len(mine)
    volume = float(np.abs(simplex_volumes(tile.points_nm, mine)).sum())
    rows, corners, neighbors = closed_boundary(tetrahedra, sides, len(tile.ids))
    del tetrahedra, mine, sides
    facets = _Facets(tile, rows, corners, neighbors)
    return facets.given(int(tile.own.sum()), n_tetrahedra, volume)


class _Facets:
    """The facets of the boundary in a tile and its halo, and what is the tile's own of them."""

    def __init__(
        self, tile: Tile, rows: npt.NDArray[np.integer], corners: IntArray, neighbors: IntArray
    ) -> None:
        points, ids, own = tile.points_nm[rows], tile.ids[rows], tile.own[rows]
        inside = np.ones(len(corners), dtype=np.bool_)
        behind, self.corners, self.partner, edge, self.faces, count = joined_facets(
            corners, neighbors, inside
        )
        origin = np.empty(count, dtype=np.int64)
        origin[self.faces.ravel()] = self.corners.ravel()
        self.points = points
        self.positions = set_apart(points, corners, origin, self.faces, behind)
        self.joints, self.middle = shared_joints(self.faces, self.partner, edge)
        self.owned: BoolArray = own[corners[behind, 0]]
        self.behind: IntArray = corners[behind]
        self.ids = ids
        self.row: IntArray = ids[self.behind[:, 0]]
        # of the facets that share a vertex the first names it, and owns it
        self.first = np.unique(self.faces, return_index=True)[1]

    def given(self, n_points: int, n_tetrahedra: int, volume_nm3: float) -> TileBoundary:
        """Number what is the tile's own, then what it needs of others."""
        fan_owned = self.owned[self.first // 3]
        joint_owned = self.owned[self.joints // 3]
        changed = (self.middle >= 0).any(axis=1)
        split = np.flatnonzero(self.owned & changed)
        fans, joints = np.flatnonzero(fan_owned), np.flatnonzero(joint_owned)
        n_vertices = (len(fans), len(joints), len(split))
        v = sum(n_vertices)

        fan_used, joint_used = self._used(self.owned)
        more_fans = np.flatnonzero(fan_used & ~fan_owned)
        more_joints = np.flatnonzero(joint_used & ~joint_owned)
        needed_key = np.concatenate([self._fan_key(more_fans), self._joint_key(more_joints)])
        order = np.argsort(needed_key[:, 0], kind="stable")
        number = np.empty(len(order), dtype=np.int64)
        number[order] = v + np.arange(len(order))
        fan_number = np.full(len(self.first), -1, dtype=np.int64)
        fan_number[fans] = np.arange(len(fans))
        fan_number[more_fans] = number[: len(more_fans)]
        joint_number = np.full(len(self.joints) + 1, -1, dtype=np.int64)  # the last: of none
        joint_number[joints] = len(fans) + np.arange(len(joints))
        joint_number[more_joints] = number[len(more_fans) :]

        whole = np.flatnonzero(self.owned & ~changed)
        pieces = split_faces(
            fan_number[self.faces[split]], joint_number[self.middle[split]], v - len(split)
        )
        each = 3 + (self.middle[split] >= 0).sum(axis=1)
        faces = np.concatenate([fan_number[self.faces[whole]], pieces])
        row = self.row
        lent_key, lent = self._lent(fan_owned, joint_owned, fan_number, joint_number)
        return TileBoundary(
            positions=self._positions(fans, joints, split, more_fans, more_joints, order),
            vertex_row=np.concatenate(
                [row[self.first[fans] // 3], row[self.joints[joints] // 3], row[split]]
            ),
            vertex_part=part_of(faces, v + len(order)),
            faces=faces.astype(np.int32),
            face_row=np.concatenate([row[whole], np.repeat(row[split], each)]),
            lent_key=lent_key,
            lent=lent,
            needed_key=needed_key[order],
            n_vertices=n_vertices,
            n_faces=(len(whole), len(pieces)),
            n_points=n_points,
            n_tetrahedra=n_tetrahedra,
            volume_nm3=volume_nm3,
        )

    def _used(self, chosen: BoolArray) -> tuple[BoolArray, BoolArray]:
        """Tell which fans and joints the chosen facets use."""
        fan = np.zeros(len(self.first), dtype=np.bool_)
        fan[self.faces[chosen]] = True
        joint = np.zeros(len(self.joints) + 1, dtype=np.bool_)  # the last: of none
        joint[self.middle[chosen]] = True
        return fan, joint[:-1]

    def _lent(
        self, fan_owned: BoolArray, joint_owned: BoolArray, fan_number: IntArray,
        joint_number: IntArray,
    ) -> tuple[IntArray, IntArray]:  # fmt: skip
        """Find the tile's own vertices that facets of others use."""
        fan_used, joint_used = self._used(~self.owned)
        fans, joints = (
            np.flatnonzero(fan_used & fan_owned),
            np.flatnonzero(joint_used & joint_owned),
        )
        key = np.concatenate([self._fan_key(fans), self._joint_key(joints)])
        order = np.argsort(key[:, 0], kind="stable")
        return key[order], np.concatenate([fan_number[fans], joint_number[joints]])[order]

    def _fan_key(self, fans: IntArray) -> IntArray:
        return self._key(self.first[fans], 0)

    def _joint_key(self, joints: IntArray) -> IntArray:
        return self._key(self.joints[joints], _JOINT)

    def _key(self, place: IntArray, kind: int) -> IntArray:
        """Name corners or edges of facets (`3 * facet + k`) as all tiles do."""
        facet, k = place // 3, place % 3
        # the side is known by the corner that the facet lacks
        lacks = (self.behind[facet][:, :, None] != self.corners[facet][:, None, :]).all(axis=2)
        side = np.argmax(lacks, axis=1)
        return np.column_stack([self.ids[self.behind[facet]], kind + 3 * side + k])

    def _positions(
        self, fans: IntArray, joints: IntArray, split: IntArray, more_fans: IntArray,
        more_joints: IntArray, order: IntArray,
    ) -> FloatArray:  # fmt: skip
        between = middles(
            self.points, self.corners, self.positions, self.faces, self.partner, self.joints
        )
        centre = self.positions[self.faces[split]].mean(axis=1)
        more = np.concatenate([self.positions[more_fans], between[more_joints]])[order]
        return np.concatenate([self.positions[fans], between[joints], centre, more])
