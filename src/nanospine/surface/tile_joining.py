"""Joining what tiles gave to a surface, on disk: the memory it takes does not grow with either.

Strategy: three things go through the bands of rows (:mod:`nanospine.surface.tile_bands`), so that
they are in the order of all points at once: vertices that tiles share are found by their names,
volumes of parts are added face by face, vertices are numbered. All else is done tile by tile. In
memory are one band or one tile, and some 150 bytes for each separate part of a tile's surface.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.errors import GeometryError, ReadError
from nanospine.core.progress import Progress, report
from nanospine.surface.parts import BodiesInVoids, add_in_order, cone_volumes, large_parts
from nanospine.surface.tile_bands import FACES, VERTICES, Bands, Piece, together
from nanospine.surface.tile_files import TileFiles

__all__ = ["JoinedSurface", "join_tiles"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_STAGE = "joining the tiles"


def join_tiles(
    folders: Sequence[Path],
    *,
    voids: Literal["keep", "fill"] = "keep",
    min_component_fraction: float = 0.0,
    progress: Progress | None = None,
) -> JoinedSurface:
    """Join what all tiles gave to the closed surface; it stays on disk.

    Parameters
    ----------
    folders : sequence of Path
        Of all tiles, in any order, as :func:`nanospine.surface.tile_files.save_boundary` wrote
        them. Columns are added there, which take some 45 bytes for each face.
    voids, min_component_fraction
        As for :meth:`nanospine.surface.alpha_complex.AlphaComplex.surface`, which gives the same
        mesh, vertex by vertex.
    progress : callable, optional
        Told the stage and its fraction.

    Raises
    ------
    GeometryError
        No tetrahedra; a bad choice.
    ReadError
        Tiles that are damaged or do not belong together.
    """
    _check(voids, min_component_fraction)
    tiles = [TileFiles(folder) for folder in folders]
    if not any(sum(tile.n_faces) for tile in tiles):
        raise GeometryError(
            "surface: the alpha complex is empty; the points are farther apart than alpha reaches. "
            "Give a larger alpha_nm."
        )
    report(progress, _STAGE, 0.0)
    bands = Bands(tiles)
    parts = _Parts(tiles)
    _meet(bands, parts)
    report(progress, _STAGE, 0.1)
    parts.merge()
    _weigh(bands, parts)
    report(progress, _STAGE, 0.4)
    keep = _kept(tiles, parts, voids == "fill", min_component_fraction)
    n_vertices = _number(bands, parts, keep)
    report(progress, _STAGE, 0.6)
    n_faces, area = _renumber_faces(tiles, keep)
    report(progress, _STAGE, 0.8)
    return JoinedSurface(
        bands=bands,
        n_vertices=n_vertices,
        n_faces=n_faces,
        n_parts=int(keep.sum()),
        area_nm2=area,
        volume_nm3=float(parts.volume[keep].sum()),
        solid_nm3=float(parts.volume.sum()),
    )


def _check(voids: str, min_component_fraction: float) -> None:
    if voids not in ("keep", "fill"):
        raise GeometryError(f"surface: voids must be 'keep' or 'fill', found {voids!r}.")
    if not 0 <= min_component_fraction <= 1:
        raise GeometryError(
            "surface: min_component_fraction must lie between 0 and 1, "
            f"found {min_component_fraction!r}."
        )


@dataclass(frozen=True, eq=False)
class JoinedSurface:
    """A closed surface on disk, to be read in pieces; it lives as long as the files of its tiles.

    Attributes
    ----------
    n_vertices, n_faces, n_parts : int
        Of what was kept.
    area_nm2, volume_nm3 : float
        Of what was kept.
    solid_nm3 : float
        Of all parts, with small ones, without voids: by the faces what `volume_nm3` of the tiles
        is by their tetrahedra. They differ by the little that copies of points are moved apart.
    """

    bands: Bands
    n_vertices: int
    n_faces: int
    n_parts: int
    area_nm2: float
    volume_nm3: float
    solid_nm3: float

    @property
    def tiles(self) -> Sequence[TileFiles]:
        """What it was joined from."""
        return self.bands.tiles

    def vertices(self) -> Iterator[FloatArray]:
        """Give the positions, shape (n, 3), piece by piece."""
        for kind in VERTICES:
            for pieces in self.bands.pieces(kind):
                number = together(pieces, "number")
                positions = together(pieces, "positions")
                order = np.argsort(number, kind="stable")
                yield positions[order[np.searchsorted(number[order], 0) :]]

    def faces(self) -> Iterator[npt.NDArray[np.integer]]:
        """Give the faces, shape (n, 3), piece by piece."""
        for kind in FACES:
            for pieces in self.bands.pieces(kind):
                order = np.argsort(together(pieces, "face_row"), kind="stable")
                faces = together(pieces, "joined_faces")[order]
                yield faces[faces[:, 0] >= 0]


class _Parts:
    """Parts of the surface, from parts of tiles that are joined when they share a vertex.

    Attributes
    ----------
    begin : ndarray
        Of the parts of each tile among those of all.
    of : ndarray
        Part of the surface of each part of a tile, after :meth:`merge`.
    apex, sample : ndarray, shape (p, 3)
        A vertex and the middle of the first face of each part.
    volume : ndarray, shape (p,)
    """

    of: IntArray
    apex: FloatArray
    sample: FloatArray
    volume: FloatArray

    def __init__(self, tiles: Sequence[TileFiles]) -> None:
        found = [_first_faces(tile) for tile in tiles]
        self.begin = np.concatenate([[0], np.cumsum([len(item[0]) for item in found])])
        self._parent = np.arange(self.begin[-1])
        self._order = tuple(np.concatenate([item[k] for item in found]) for k in range(3))
        self._apex, self._sample = (np.concatenate([item[k] for item in found]) for k in (3, 4))

    def join(self, a: IntArray, b: IntArray) -> None:
        """Parts `a` are parts `b`."""
        _unite(self._parent, a, b)

    def merge(self) -> None:
        """Number the parts of the surface, when all that is to be joined is."""
        root = _roots(self._parent)
        order = np.lexsort(self._order)  # the first face of a part is the first of all tiles'
        _, first, of = np.unique(root[order], return_index=True, return_inverse=True)
        self.of = np.empty(len(root), dtype=np.int64)
        self.of[order] = of
        self.apex, self.sample = self._apex[order[first]], self._sample[order[first]]
        self.volume = np.zeros(len(first))
        del self._parent, self._order, self._apex, self._sample

    def of_vertices(self, number: int, tile: TileFiles) -> IntArray:
        """Give the part of each vertex of a tile."""
        return np.asarray(self.of[self.begin[number] + tile.read("vertex_part")])


def _first_faces(tile: TileFiles) -> tuple[IntArray, IntArray, IntArray, FloatArray, FloatArray]:
    """Find the first face of each part of a tile: place, row, kind; a vertex of it; its middle."""
    faces, positions = tile.read("faces"), tile.read("positions")
    _, first = np.unique(tile.read("vertex_part")[faces[:, 0]], return_index=True)
    corners = positions[faces[first]]
    kind = (first >= tile.n_faces[0]).astype(np.int64)
    return first, tile.read("face_row")[first], kind, corners[:, 0], corners.mean(axis=1)


@njit(cache=True)
def _unite(parent, a, b):  # type: ignore[no-untyped-def]
    for i in range(a.shape[0]):
        p, q = a[i], b[i]
        while parent[p] != p:
            parent[p] = parent[parent[p]]
            p = parent[p]
        while parent[q] != q:
            parent[q] = parent[parent[q]]
            q = parent[q]
        parent[max(p, q)] = min(p, q)


@njit(cache=True)
def _roots(parent):  # type: ignore[no-untyped-def]
    root = parent.copy()
    for i in range(root.shape[0]):  # parents come before their children
        root[i] = root[root[i]]
    return root


def _meet(bands: Bands, parts: _Parts) -> None:
    """Find the vertices that tiles need of others, and join the parts that share them."""
    for tile in bands.tiles:
        n = tile.n_all_vertices - sum(tile.n_vertices)
        tile.reserve("lender", (n,), np.int32)
        tile.reserve("lender_place", (n,), np.int64)
    for lent, needed in bands.pairs():
        lent_key, needed_key = together(lent, "lent_key"), together(needed, "needed_key")
        if len(needed_key) == 0:
            continue
        lender = np.repeat([p.number for p in lent], [p.end - p.begin for p in lent])
        place = together(lent, "lent")
        lent_part = np.concatenate([_part_numbers(p, parts, p.read("lent")) for p in lent])
        at = _find(lent_key, needed_key)
        needed_part = np.concatenate(
            [
                _part_numbers(p, parts, sum(p.tile.n_vertices) + np.arange(p.begin, p.end))
                for p in needed
            ]
        )
        parts.join(lent_part[at], needed_part)
        done = 0
        for piece in needed:
            mine = at[done : done + piece.end - piece.begin]
            done += len(mine)
            if len(mine):
                piece.tile.fill("lender", piece.begin, lender[mine])
                piece.tile.fill("lender_place", piece.begin, place[mine])


def _part_numbers(piece: Piece, parts: _Parts, vertices: IntArray) -> IntArray:
    """Give the parts, among those of all tiles, of vertices of a tile."""
    if len(vertices) == 0:
        return np.empty(0, dtype=np.int64)
    low, high = int(vertices.min()), int(vertices.max()) + 1
    part = piece.tile.read("vertex_part", low, high)[vertices - low]
    return np.asarray(parts.begin[piece.number] + part, dtype=np.int64)


def _find(names: IntArray, wanted: IntArray) -> IntArray:
    """Find the place of wanted names, rows of numbers, each of which is there once."""
    every = np.concatenate([names, wanted])
    is_name = np.arange(len(every)) < len(names)
    order = np.lexsort((~is_name, *every.T[::-1]))  # a name before those that want it
    last = np.maximum.accumulate(np.where(is_name[order], np.arange(len(order)), -1))
    found = np.empty(len(every), dtype=np.int64)
    found[order] = np.where(last < 0, -1, order[last])
    result = found[len(names) :]
    if (result < 0).any() or (names[result] != wanted).any():
        raise ReadError("field: the tiles do not fit together; remove the folder and start again.")
    return result


def _weigh(bands: Bands, parts: _Parts) -> None:
    """Add up the volume of each part in the order of its faces."""
    for number, tile in enumerate(bands.tiles):
        faces = tile.read("faces")
        part = parts.of_vertices(number, tile)[faces[:, 0]]
        tile.write("face_volume", cone_volumes(tile.read("positions"), faces, part, parts.apex))
        tile.write("face_part", part)
    for kind in FACES:
        for pieces in bands.pieces(kind):
            order = np.argsort(together(pieces, "face_row"), kind="stable")
            part, volume = together(pieces, "face_part"), together(pieces, "face_volume")
            add_in_order(parts.volume, part[order], volume[order])


def _kept(tiles: Sequence[TileFiles], parts: _Parts, fill: bool, fraction: float) -> BoolArray:
    """Tell which parts stay."""
    if not fill and fraction == 0.0:
        return np.ones(len(parts.volume), dtype=np.bool_)
    keep = large_parts(parts.volume, fill, fraction)
    is_void = parts.volume < 0
    if fill and is_void.any():
        bodies = np.flatnonzero(keep)
        within = BodiesInVoids(parts.sample[bodies])
        for tile in tiles:
            faces = tile.read("faces")
            walls = faces[is_void[tile.read("face_part")]]
            if len(walls):
                within.add(tile.read("positions"), walls)
        keep[bodies[within.inside()]] = False
    return keep


def _number(bands: Bands, parts: _Parts, keep: BoolArray) -> int:
    """Number the vertices of kept parts, -1 for the others; give how many there are."""
    for tile in bands.tiles:
        tile.reserve("number", (sum(tile.n_vertices),), np.int64)
    count = 0
    for kind in VERTICES:
        for pieces in bands.pieces(kind):
            row = together(pieces, "vertex_row")
            part = [parts.begin[piece.number] + piece.read("vertex_part") for piece in pieces]
            kept = keep[parts.of[np.concatenate(part)]]
            order = np.argsort(row, kind="stable")
            order = order[kept[order]]
            number = np.full(len(row), -1, dtype=np.int64)
            number[order] = count + np.arange(len(order))
            count += len(order)
            done = 0
            for piece in pieces:
                length = piece.end - piece.begin
                piece.tile.fill("number", piece.begin, number[done : done + length])
                done += length
    return count


def _renumber_faces(tiles: Sequence[TileFiles], keep: BoolArray) -> tuple[int, float]:
    """Give the faces of each tile the numbers of the surface; number and area of those kept."""
    count, area = 0, 0.0
    for tile in tiles:
        faces = tile.read("faces")
        kept = keep[tile.read("face_part")]
        lender, place = tile.read("lender"), tile.read("lender_place")
        theirs = np.empty(len(lender), dtype=np.int64)
        for number in np.unique(lender):
            mine = lender == number
            theirs[mine] = tiles[number].read("number")[place[mine]]
        joined = np.concatenate([tile.read("number"), theirs])[faces]
        joined[~kept] = -1
        tile.write("joined_faces", joined)
        a, b, c = np.moveaxis(tile.read("positions")[faces[kept]], 1, 0)
        area += float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2
        count += int(kept.sum())
    return count, area
