"""The surface of more points than one machine holds: each tile gives its part, all are joined.

A tetrahedron of the alpha complex takes part in the surface when it has an edge, or at least two
corners, on the boundary. Whether a corner is on the boundary is seen in the tetrahedra around it.
With a halo of 4 alpha a tile knows them all: its tetrahedra reach 2 alpha from their lowest corner,
which is in the tile, the circumspheres of those around their corners 2 alpha more. So no tile asks
another, and what they give together is what all points at once give, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.errors import GeometryError
from nanospine.surface.alpha_complex import tile_complex
from nanospine.surface.complex_surface import closed_surface, facet_partners, kept_parts
from nanospine.surface.qhull import simplex_volumes
from nanospine.surface.tiles import PointSource, Tile, rows_of

__all__ = ["HALOS", "TileBoundary", "join_boundaries", "tile_boundary"]

#: Width of the halo in alphas.
HALOS = 4.0


@dataclass(frozen=True, eq=False)
class TileBoundary:
    """What a tile gives to the surface.

    Attributes
    ----------
    tetrahedra : ndarray of int64, shape (k, 4)
        Those of the tile that have two corners on the boundary or more, as rows of the source.
    open : ndarray of bool, shape (k, 4)
        Column j: the facet opposite corner j is on the boundary.
    n_points : int
        In the tile, without its halo.
    n_tetrahedra : int
        All of the tile.
    volume_nm3 : float
        Of all of the tile.
    """

    tetrahedra: npt.NDArray[np.int64] = field(repr=False)
    open: npt.NDArray[np.bool_] = field(repr=False)
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
    >>> join_boundaries(parts, points).is_volume
    True
    """
    corners, _ = tile_complex(tile, alpha_nm, halo=True, threads=threads)
    own = tile.own[corners[:, 0]] if len(corners) else np.empty(0, dtype=np.bool_)
    partner = facet_partners(corners, len(tile.ids))
    on_boundary = np.zeros(len(tile.ids), dtype=np.bool_)
    for j in range(4):
        others = [i for i in range(4) if i != j]
        on_boundary[corners[partner[:, j] < 0][:, others]] = True
    chosen = np.flatnonzero(own & (on_boundary[corners].sum(axis=1) > 1))
    volumes = simplex_volumes(tile.points_nm, corners[own])
    return TileBoundary(
        np.asarray(tile.ids[corners[chosen]], dtype=np.int64),
        partner[chosen] < 0,
        int(tile.own.sum()),
        int(own.sum()),
        float(np.abs(volumes).sum()),
    )


def join_boundaries(
    parts: Sequence[TileBoundary],
    source: PointSource,
    *,
    voids: Literal["keep", "fill"] = "keep",
    min_component_fraction: float = 0.0,
) -> trimesh.Trimesh:
    """Join what all tiles gave to the closed surface.

    Parameters
    ----------
    parts : sequence of TileBoundary
        In any order.
    source : array_like (n, 3), or path
        What the tiles were made from; of a file only the points of the surface are kept in memory.
    voids, min_component_fraction
        As for :meth:`nanospine.surface.alpha_complex.AlphaComplex.surface`, which gives the same
        mesh, vertex by vertex.

    Raises
    ------
    GeometryError
        No tetrahedra; other points than the tiles were made from.
    """
    tetrahedra = np.concatenate([part.tetrahedra for part in parts])
    is_open = np.concatenate([part.open for part in parts])
    if len(tetrahedra) == 0:
        raise GeometryError(
            "surface: the alpha complex is empty; the points are farther apart than alpha reaches. "
            "Give a larger alpha_nm."
        )
    order = np.lexsort(tetrahedra.T[::-1])
    tetrahedra, is_open = tetrahedra[order], is_open[order]
    rows, where = np.unique(tetrahedra, return_inverse=True)
    c = len(tetrahedra)
    corners = np.zeros((c + 1, 4), dtype=np.int64)
    corners[:-1] = np.asarray(where).reshape(-1, 4)
    neighbors = np.full((c + 1, 4), c, dtype=np.int64)
    found = facet_partners(corners[:-1], len(rows)).astype(np.int64)
    # Across the other facets lie tetrahedra that take no part.
    neighbors[:-1] = np.where(is_open, -1, np.where(found < 0, c, found))
    points = rows_of(source, rows, sum(part.n_points for part in parts))
    vertices, faces, _ = closed_surface(points, corners, neighbors)
    keep = kept_parts(vertices, faces, voids == "fill", min_component_fraction)
    mesh = trimesh.Trimesh(vertices, faces[keep], process=False)
    if not keep.all():
        mesh.remove_unreferenced_vertices()
    return mesh
