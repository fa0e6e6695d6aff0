"""The alpha complex: the Delaunay tetrahedra of small circumspheres, whole or tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import trimesh
from numba import njit

from nanospine.core.errors import GeometryError
from nanospine.core.lean import lean
from nanospine.core.progress import Progress, report
from nanospine.surface.complex_surface import closed_boundary, closed_surface
from nanospine.surface.delaunay import delaunay
from nanospine.surface.gates import circumradius
from nanospine.surface.parts import kept_parts
from nanospine.surface.qhull import simplex_volumes
from nanospine.surface.tiles import PointSource, Tile, TiledPoints, rows_of

__all__ = ["AlphaComplex", "alpha_complex", "alpha_tiles", "tile_complex"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# One triangulation of more takes longer and more memory than its tiles.
_POINTS_PER_TILE = 500_000
# Corners of the facet opposite each corner, counterclockwise from outside.
_SIDES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])


@dataclass(frozen=True, eq=False)
class AlphaComplex:
    """Tetrahedra whose circumsphere holds no other point and is no larger than alpha.

    Attributes
    ----------
    alpha_nm : float
        Largest radius.
    tetrahedra : ndarray of int, shape (m, 4)
        Rows of the points; of positive volume, the lowest number first.
    circumradius_nm : ndarray, shape (m,)
        Of each.
    volume_nm3 : float
        Of all.
    facets : ndarray of int, shape (k, 3)
        What :meth:`boundary` gives.
    n_points : int
        Of the source.
    n_tiles : int
        1 for all points at once.
    """

    alpha_nm: float
    tetrahedra: npt.NDArray[np.integer] = field(repr=False)
    circumradius_nm: FloatArray = field(repr=False)
    volume_nm3: float
    facets: npt.NDArray[np.integer] = field(repr=False)
    n_points: int
    n_tiles: int = 1

    def boundary(self) -> npt.NDArray[np.integer]:
        """Give the facets of one tetrahedron only, shape (k, 3), counterclockwise from outside.

        Examples
        --------
        >>> cube = np.array([[x, y, z] for x in (0, 9) for y in (0, 9) for z in (0, 9)], float)
        >>> alpha_complex(cube, 8.0).boundary().shape
        (12, 3)
        """
        return self.facets

    def surface(
        self,
        source: PointSource,
        *,
        voids: Literal["keep", "fill"] = "keep",
        min_component_fraction: float = 0.0,
    ) -> trimesh.Trimesh:
        """Give the boundary as a closed, outward oriented 2-manifold.

        Where tetrahedra touch only in an edge or a point, that edge or point is there twice
        (:func:`nanospine.surface.mesh.boundary_surface`). The mesh is the same, vertex by vertex,
        whatever the tiles were.

        Parameters
        ----------
        source : array_like (n, 3), or path of a .npy or .parquet file
            The positions that the complex was made from; of a file only those on the boundary are
            kept in memory.
        voids : {"keep", "fill"}
            "keep": the walls of inner voids, oriented into them, belong to the surface, as they do
            to the complex. "fill": no voids, nor bodies in them.
        min_component_fraction : float
            Walls of voids and separate bodies below this fraction of the largest body's volume are
            left out.

        Raises
        ------
        GeometryError
            No tetrahedra; other points than the complex was made from.

        Examples
        --------
        >>> points = np.random.default_rng(0).random((2000, 3)) * 100
        >>> found = alpha_complex(points, 9.0, points_per_tile=200)
        >>> mesh = found.surface(points)
        >>> mesh.is_volume, bool(np.isclose(mesh.volume, found.volume_nm3, rtol=1e-4))
        (True, True)
        """
        if voids not in ("keep", "fill"):
            raise GeometryError(f"surface: voids must be 'keep' or 'fill', found {voids!r}.")
        if not 0 <= min_component_fraction <= 1:
            raise GeometryError(
                "surface: min_component_fraction must lie between 0 and 1, "
                f"found {min_component_fraction!r}."
            )
        if len(self.tetrahedra) == 0:
            raise GeometryError(
                f"surface: the alpha complex at {self.alpha_nm:g} nm is empty; the points are "
                "farther apart. Give a larger alpha_nm."
            )
        rows, corners, neighbors = closed_boundary(self.tetrahedra, self.facets, self.n_points)
        points = rows_of(source, rows, self.n_points)
        vertices, faces, _ = closed_surface(points, corners, neighbors)
        keep = kept_parts(vertices, faces, voids == "fill", min_component_fraction)
        mesh = trimesh.Trimesh(vertices, faces[keep], process=False)
        if not keep.all():
            mesh.remove_unreferenced_vertices()
        return mesh


def alpha_complex(
    source: PointSource,
    alpha_nm: float,
    *,
    points_per_tile: int | None = _POINTS_PER_TILE,
    folder: str | Path | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> AlphaComplex:
    """Give the tetrahedra of the Delaunay triangulation with a circumradius of at most alpha.

    Tiles with a halo of 2 alpha give exactly what the triangulation of all points gives: a
    tetrahedron counts in the tile of its vertex with the lowest number; its circumsphere, and so
    every point that could be in it, lies within 2 alpha of this vertex. Ties between cospherical
    points are decided by their coordinates, in all tiles alike.

    Parameters
    ----------
    source : array_like (n, 3), or path of a .npy or .parquet file
        Positions in nanometres.
    alpha_nm : float
        Largest circumradius.
    points_per_tile : int, optional
        Sets with more points are worked on in tiles; None never makes tiles.
    folder : path, optional
        For the temporary file of the tiles (32 bytes per point).
    threads : int, optional
        As for :func:`nanospine.delaunay`.
    progress : callable, optional
        Told the stage and its fraction.

    Raises
    ------
    GeometryError, TooFewPointsError
        An alpha that is not positive; points that are not finite; none at all. Points that span
        no volume have no tetrahedra.

    Examples
    --------
    >>> points = np.random.default_rng(0).random((2000, 3)) * 100
    >>> whole = alpha_complex(points, 6.0)
    >>> tiled = alpha_complex(points, 6.0, points_per_tile=200)
    >>> tiled.n_tiles > 5, len(tiled.tetrahedra) == len(whole.tetrahedra)
    (True, True)
    """
    tetrahedra, radii, facets, volume, n_points, count = [], [], [], 0.0, 0, 0
    for tile, corners, radius, sides in _tiles(
        source, alpha_nm, points_per_tile, folder, threads, progress
    ):
        n_points += int(tile.own.sum())
        count += 1
        volume += float(np.abs(simplex_volumes(tile.points_nm, corners)).sum())
        # rows below 2**31 in half the memory
        kind = np.int32 if tile.ids[-1] < 2**31 else np.int64
        tetrahedra.append(tile.ids[corners].astype(kind))
        facets.append(tile.ids[sides].astype(kind))
        radii.append(radius)
    return AlphaComplex(
        float(alpha_nm), np.concatenate(tetrahedra), np.concatenate(radii), volume,
        np.concatenate(facets), n_points, count,
    )  # fmt: skip


def alpha_tiles(
    source: PointSource,
    alpha_nm: float,
    *,
    points_per_tile: int | None = _POINTS_PER_TILE,
    folder: str | Path | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Tile, IntArray, FloatArray]]:
    """Give the alpha complex tile by tile, so that memory does not grow with the points.

    Yields
    ------
    tile : Tile
        Points with their rows in the source.
    tetrahedra : ndarray of int64, shape (k, 4)
        Those that count in this tile, as rows of `tile.points_nm`.
    circumradius_nm : ndarray, shape (k,)
        Of each.

    Examples
    --------
    >>> points = np.random.default_rng(0).random((2000, 3)) * 100
    >>> sum(len(found) for _, found, _ in alpha_tiles(points, 6.0, points_per_tile=200)) == len(
    ...     alpha_complex(points, 6.0).tetrahedra)
    True
    """
    for tile, corners, radius, _ in _tiles(
        source, alpha_nm, points_per_tile, folder, threads, progress
    ):
        yield tile, corners, radius


def _tiles(
    source: PointSource, alpha_nm: float, points_per_tile: int | None, folder: str | Path | None,
    threads: int | None, progress: Progress | None,
) -> Iterator[tuple[Tile, IntArray, FloatArray, IntArray]]:  # fmt: skip
    """Give tiles and what :func:`tile_complex` finds in each."""
    if not (np.isfinite(alpha_nm) and alpha_nm > 0):
        raise GeometryError(f"alpha_complex: a positive alpha_nm was expected, found {alpha_nm!r}.")
    if points_per_tile is not None and points_per_tile < 1:
        raise GeometryError(
            f"alpha_complex: points_per_tile of at least 1 was expected, found {points_per_tile}."
        )
    most = np.iinfo(np.int64).max if points_per_tile is None else points_per_tile
    with TiledPoints(source, 2 * alpha_nm, most, folder=folder, progress=progress) as tiled:
        for number, tile in enumerate(tiled):
            yield tile, *tile_complex(tile, alpha_nm, threads=threads)
            report(progress, "tiles", (number + 1) / len(tiled))


def tile_complex(
    tile: Tile, alpha_nm: float, *, halo: bool = False, threads: int | None = None
) -> tuple[IntArray, FloatArray, IntArray]:
    """Give what counts of the alpha complex in a tile with a halo of 2 alpha.

    Facets of the boundary count where their own lowest vertex does: the circumspheres on both sides
    hold it, so the halo covers them; from the lowest vertex of the tetrahedron behind it might not.

    With `halo` also the others: those whose circumsphere reaches out of the halo may be wrong.

    Returns
    -------
    tetrahedra : ndarray of int64, shape (m, 4)
    circumradius_nm : ndarray, shape (m,)
    boundary : ndarray of int64, shape (k, 3)
        Facets.
    """
    try:
        whole = delaunay(tile.points_nm, threads=threads)
    except GeometryError:  # too few points, or on one plane: no tetrahedron
        nothing = np.empty((0, 4), dtype=np.int64)
        return nothing, np.empty(0), nothing[:, :3]
    own = np.ones_like(tile.own) if halo else tile.own
    corners, radii, small = _chosen(tile.points_nm, whole.tetrahedra, own, float(alpha_nm))
    facets = _open_facets(whole.tetrahedra, whole.neighbors, small, own)
    return corners, radii, facets


@njit(cache=True)
def _chosen(points, tetrahedra, own, alpha):  # type: ignore[no-untyped-def]
    """Keep small tetrahedra whose lowest vertex is owned, vertices sorted but for the sign.

    Sorted first, so that the same four points give the same radius in every tile. Tells also which
    are small, owned or with an owned vertex.
    """
    m = tetrahedra.shape[0]
    every = np.empty(m)
    small = np.zeros(m, dtype=np.bool_)
    count = 0
    for t in range(m):
        a, b, c, d, _ = _sorted(
            tetrahedra[t, 0], tetrahedra[t, 1], tetrahedra[t, 2], tetrahedra[t, 3]
        )
        if own[a] or own[b] or own[c] or own[d]:
            every[t] = circumradius(points, a, b, c, d)
            small[t] = every[t] <= alpha
            count += small[t] and own[a]
    kept = np.empty((count, 4), dtype=np.int64)
    radii = np.empty(count)
    count = 0
    for t in range(m):
        if not small[t]:
            continue
        a, b, c, d, odd = _sorted(
            tetrahedra[t, 0], tetrahedra[t, 1], tetrahedra[t, 2], tetrahedra[t, 3]
        )
        if own[a]:
            kept[count, 0], kept[count, 1] = a, b
            kept[count, 2], kept[count, 3] = (d, c) if odd else (c, d)
            radii[count] = every[t]
            count += 1
    return kept, radii, small


@lean
def _sorted(a, b, c, d):  # type: ignore[no-untyped-def]
    """Four numbers in order, and whether an odd number of swaps takes them there."""
    odd = False
    if b < a:
        a, b, odd = b, a, not odd
    if d < c:
        c, d, odd = d, c, not odd
    if c < a:
        a, c, odd = c, a, not odd
    if d < b:
        b, d, odd = d, b, not odd
    if c < b:
        b, c, odd = c, b, not odd
    return a, b, c, d, odd


@njit(cache=True)
def _open_facets(tetrahedra, neighbors, small, own):  # type: ignore[no-untyped-def]
    """Facets of small tetrahedra with none across, those whose lowest vertex is owned."""
    m = tetrahedra.shape[0]
    count = 0
    for t in range(m):
        if small[t]:
            for j in range(4):
                u = neighbors[t, j]
                count += u < 0 or not small[u]
    found = np.empty((count, 3), dtype=np.int64)
    count = 0
    for t in range(m):
        if not small[t]:
            continue
        for j in range(4):
            u = neighbors[t, j]
            if u >= 0 and small[u]:
                continue
            four, side = tetrahedra[t], _SIDES[j]
            a, b, c = four[side[0]], four[side[1]], four[side[2]]
            if own[min(a, b, c)]:
                found[count, 0], found[count, 1], found[count, 2] = a, b, c
                count += 1
    return found[:count].copy()
