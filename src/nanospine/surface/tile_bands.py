"""Bands of rows of a source, and what the tiles of a surface have in each.

Strategy: the columns of a tile rise by row, and every row belongs to one tile. So all are in order
when one band is taken after the other, with that of each tile that lies in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.surface.tile_files import TileFiles

__all__ = ["FACES", "VERTICES", "Bands", "Piece", "together"]

IntArray = npt.NDArray[np.int64]

# Faces of a band, more or less: some 200 MB.
_BAND_FACES = 1_500_000
_BLOCKS = 2**16
#: What is cut into bands: the kinds of vertices and of faces, one after the other.
VERTICES, FACES = (0, 1, 2), (3, 4)
_LENT, _NEEDED = 5, 6


@dataclass(frozen=True)
class Piece:
    """Rows `begin` to `end` of columns of a tile, and the tile's number."""

    tile: TileFiles
    number: int
    begin: int
    end: int

    def read(self, name: str) -> npt.NDArray[Any]:
        """Read them of one column."""
        return self.tile.read(name, self.begin, self.end)


def together(pieces: Sequence[Piece], name: str) -> npt.NDArray[Any]:
    """Read a column of several pieces, one after the other."""
    return np.concatenate([piece.read(name) for piece in pieces])


class Bands:
    """Bands of rows of the source, and where they are in the columns of each tile."""

    def __init__(self, tiles: Sequence[TileFiles]) -> None:
        self.tiles = tiles
        edges = self._edges()
        self._cuts = np.empty((len(tiles), 7, len(edges)), dtype=np.int64)
        for number, tile in enumerate(tiles):
            columns = [
                *_kinds(tile.read("vertex_row"), tile.n_vertices),
                *_kinds(tile.read("face_row"), tile.n_faces),
                (0, tile.read("lent_key")[:, 0]), (0, tile.read("needed_key")[:, 0]),
            ]  # fmt: skip
            for kind, (begin, rows) in enumerate(columns):
                self._cuts[number, kind] = begin + np.searchsorted(rows, edges)

    def _edges(self) -> IntArray:
        """Cut the rows where there are enough faces."""
        n = sum(tile.n_points for tile in self.tiles)
        width = -(-n // _BLOCKS)
        count = np.zeros(-(-n // width), dtype=np.int64)
        for tile in self.tiles:
            count += np.bincount(tile.read("face_row") // width, minlength=len(count))
        band = np.cumsum(count) // _BAND_FACES
        inner = (np.flatnonzero(np.diff(band)) + 1) * width
        return np.concatenate([[0], inner, [n]])

    def pieces(self, kind: int) -> Iterator[list[Piece]]:
        """Give what is in one band after the other; bands without anything are left out."""
        for band in range(self._cuts.shape[2] - 1):
            cuts = self._cuts[:, kind, band : band + 2]
            there = np.flatnonzero(cuts[:, 1] > cuts[:, 0])
            if len(there):
                yield [Piece(self.tiles[t], t, *cuts[t].tolist()) for t in there.tolist()]

    def pairs(self) -> Iterator[tuple[list[Piece], list[Piece]]]:
        """Give what is lent and what is needed in one band after the other."""
        for band in range(self._cuts.shape[2] - 1):
            yield tuple(  # type: ignore[misc]
                [
                    Piece(self.tiles[t], t, *self._cuts[t, kind, band : band + 2].tolist())
                    for t in range(len(self.tiles))
                ]
                for kind in (_LENT, _NEEDED)
            )


def _kinds(rows: IntArray, counts: Sequence[int]) -> Iterator[tuple[int, IntArray]]:
    begin = 0
    for count in counts:
        yield begin, rows[begin : begin + count]
        begin += count
