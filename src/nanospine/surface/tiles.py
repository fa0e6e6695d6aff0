"""Points sorted into tiles on disk, so that each tile is worked on with little memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, ReadError, TooFewPointsError
from nanospine.core.files import atomic_path
from nanospine.core.progress import Progress, report

__all__ = ["PointSource", "Tile", "TiledPoints", "rows_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PointSource = npt.ArrayLike | Path | str

_CHUNK = 1_000_000
_BUFFER_BYTES = 1 << 20
_ROW = np.dtype([("xyz", "<f8", 3), ("id", "<i8")])
_SORTED, _INDEX = "sorted.bin", "index.npz"
_MOST_CELLS = 2**20  # along an axis: three of them are one number of 60 bits
# Rounding of a coordinate must not put a point outside of the halo that is inside.
_SLACK = 1e-6


@dataclass(frozen=True, eq=False)
class Tile:
    """The points of a box and of a halo around it.

    Attributes
    ----------
    points_nm : ndarray, shape (n, 3)
        In the order of their numbers.
    ids : ndarray of int64, shape (n,)
        Rows in the source.
    own : ndarray of bool, shape (n,)
        True in the box, False in the halo.
    """

    points_nm: FloatArray
    ids: IntArray
    own: npt.NDArray[np.bool_]


class TiledPoints:
    """Points in cells, on disk; a tile is a box of cells.

    Parameters
    ----------
    source : array_like (n, 3), or path of a .npy or .parquet file, or of a folder of .parquet
        Positions in nanometres; files are read in pieces (`x_nm`, `y_nm`, `z_nm` of Parquet). The
        files of a folder, and of folders in it, follow each other by name.
    halo_nm : float
        Width of the halo around each tile.
    points_per_tile : int
        Tiles are split until they have no more, without their halo.
    folder : path, optional
        For the temporary file, 32 bytes per point; the system's folder otherwise.
    keep : path, optional
        A folder in which the sorted points stay, so that other processes read the tiles with
        :meth:`stored`.

    Raises
    ------
    GeometryError
        Wrong shape, or positions that are not finite.
    TooFewPointsError
        No point.
    ReadError
        A file of another kind.

    Examples
    --------
    >>> points = np.random.default_rng(0).random((1000, 3)) * 100
    >>> with TiledPoints(points, 5.0, 300) as tiled:
    ...     tiles = list(tiled)
    >>> len(tiles), sum(int(tile.own.sum()) for tile in tiles)
    (4, 1000)
    """

    def __init__(
        self,
        source: PointSource,
        halo_nm: float,
        points_per_tile: int = 500_000,
        *,
        folder: str | Path | None = None,
        keep: str | Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.halo_nm = float(halo_nm)
        self.n_points, self._low, span = _extent(source)
        self._cell_nm = max(self.halo_nm * (1 + _SLACK), span / _MOST_CELLS, 1e-300)
        self._index(*self._count(source))
        self._boxes = _split(self._cells, self._counts, points_per_tile)
        self._file: IO[bytes]
        if keep is None:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        else:
            self._file = (Path(keep) / _SORTED).open("w+b")
        try:
            self._scatter(source, progress)
            if keep is not None:
                self._save(Path(keep))
        except BaseException:
            self.close()
            raise

    def _save(self, folder: Path) -> None:
        """Write the index; it is there only when the points are."""
        with atomic_path(folder / _INDEX) as temporary, temporary.open("wb") as file:
            np.savez(
                file, halo_nm=self.halo_nm, n_points=self.n_points, low=self._low,
                cell_nm=self._cell_nm, keys=self._keys, counts=self._counts,
                boxes=np.array(self._boxes, dtype=np.int64),
            )  # fmt: skip

    @classmethod
    def stored(cls, folder: str | Path) -> TiledPoints:
        """Open what was kept in a folder.

        Raises
        ------
        ReadError
            When it is not there whole.
        """
        self = cls.__new__(cls)
        try:
            with np.load(Path(folder) / _INDEX, allow_pickle=False) as index:
                self.halo_nm, self.n_points = float(index["halo_nm"]), int(index["n_points"])
                self._low, self._cell_nm = index["low"], float(index["cell_nm"])
                self._index(index["keys"], index["counts"])
                self._boxes = [(box[0], box[1]) for box in index["boxes"]]
            file = (Path(folder) / _SORTED).open("rb")
        except (OSError, ValueError, KeyError) as error:
            raise ReadError(f"{folder}: holds no points sorted into tiles ({error}).") from error
        self._file = file
        if file.seek(0, 2) != self.n_points * _ROW.itemsize:
            file.close()
            raise ReadError(f"{folder}: the points sorted into tiles are not whole; sort again.")
        return self

    def _index(self, keys: IntArray, counts: IntArray) -> None:
        """Take the cells that hold points, and how many."""
        self._keys, self._counts = keys, counts
        self._begins = np.concatenate([[0], np.cumsum(counts)])
        self._cells = np.column_stack([keys >> 40, keys >> 20 & 0xFFFFF, keys & 0xFFFFF])

    def __enter__(self) -> TiledPoints:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the file."""
        self.close()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __len__(self) -> int:
        """Number of tiles."""
        return len(self._boxes)

    def __iter__(self) -> Iterator[Tile]:
        """Read one tile after the other."""
        return (self.read(number) for number in range(len(self)))

    def read(self, number: int) -> Tile:
        """Read a tile with its halo."""
        low, high = self._boxes[number]
        rows = self._rows(low - 1, high + 1)
        xyz: FloatArray = rows["xyz"]
        ids: IntArray = rows["id"]
        cell = self._cell(xyz)
        own = np.logical_and(cell >= low, cell < high).all(axis=1)
        reach = self.halo_nm * (1 + _SLACK)
        begin, end = self._low + low * self._cell_nm, self._low + high * self._cell_nm
        near = np.logical_and(xyz >= begin - reach, xyz <= end + reach).all(axis=1)
        kept = np.flatnonzero(near | own)
        kept = kept[np.argsort(ids[kept])]
        return Tile(
            np.ascontiguousarray(xyz[kept]), ids[kept].astype(np.int64), np.asarray(own)[kept]
        )

    def _cell(self, xyz: FloatArray) -> IntArray:
        cell = np.floor((xyz - self._low) / self._cell_nm).astype(np.int64)
        return np.clip(cell, 0, _MOST_CELLS - 1)

    def _key(self, xyz: FloatArray) -> IntArray:
        cell = self._cell(xyz)
        return np.asarray(cell[:, 0] << 40 | cell[:, 1] << 20 | cell[:, 2], dtype=np.int64)

    def _count(self, source: PointSource) -> tuple[IntArray, IntArray]:
        keys, counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        for part in _chunks(source):
            new, n = np.unique(self._key(part), return_counts=True)
            keys, place = np.unique(np.concatenate([keys, new]), return_inverse=True)
            counts = np.bincount(place, np.concatenate([counts, n])).astype(np.int64)
        return keys, counts

    def _scatter(self, source: PointSource, progress: Progress | None) -> None:
        """Write the points of each cell to its place in the file."""
        cursor = self._begins[:-1].copy()
        done = 0
        for part in _chunks(source):
            key = self._key(part)
            order = np.argsort(key, kind="stable")
            rows = np.empty(len(part), dtype=_ROW)
            rows["xyz"], rows["id"] = part[order], done + order
            found, begins = np.unique(key[order], return_index=True)
            ends = np.append(begins[1:], len(part))
            cells = np.searchsorted(self._keys, found)
            for cell, begin, end in zip(cells, begins, ends, strict=True):
                self._file.seek(int(cursor[cell]) * _ROW.itemsize)
                self._file.write(rows[begin:end].tobytes())
                cursor[cell] += end - begin
            done += len(part)
            report(progress, "sorting into tiles", done / self.n_points)
        self._file.flush()

    def _rows(self, low: IntArray, high: IntArray) -> npt.NDArray[Any]:
        """Read the points of a box of cells."""
        cells = np.flatnonzero(((self._cells >= low) & (self._cells < high)).all(axis=1))
        # Cells that follow each other in the file are read at once.
        starts = np.flatnonzero(np.diff(cells, prepend=-2) != 1)
        last = np.append(starts[1:], len(cells)) - 1
        result = np.empty(int(self._counts[cells].sum()), dtype=_ROW)
        at = 0
        for a, b in zip(self._begins[cells[starts]], self._begins[cells[last] + 1], strict=True):
            self._file.seek(int(a) * _ROW.itemsize)
            self._file.readinto(result[at : at + b - a].view(np.uint8))  # type: ignore[attr-defined]
            at += b - a
        return result


def rows_of(source: PointSource, rows: npt.NDArray[np.integer], n_points: int) -> FloatArray:
    """Read chosen rows, rising, of a source of so many points."""
    result = np.empty((len(rows), 3))
    done = 0
    for part in _chunks(source):
        begin, end = np.searchsorted(rows, [done, done + len(part)])
        result[begin:end] = part[rows[begin:end] - done]
        done += len(part)
    if done != n_points:
        raise GeometryError(
            f"tiles: the {n_points} points that the alpha complex was made from were expected, "
            f"found {done}."
        )
    return result


def _split(cells: IntArray, counts: IntArray, most: int) -> list[tuple[IntArray, IntArray]]:
    """Halve boxes of cells along their longest axis until none holds more points than `most`."""
    result = []
    todo = [np.arange(len(cells))]
    while todo:
        part = todo.pop()
        low, high = cells[part].min(axis=0), cells[part].max(axis=0) + 1
        if counts[part].sum() <= most or (high - low).max() == 1:
            result.append((low, high))
            continue
        axis = int(np.argmax(high - low))
        along = cells[part, axis]
        order = np.argsort(along, kind="stable")
        total = np.cumsum(counts[part][order])
        middle = along[order][np.searchsorted(total, total[-1] / 2)]
        cut = min(max(int(middle), int(low[axis]) + 1), int(high[axis]) - 1)
        todo += [part[along >= cut], part[along < cut]]
    return result


def _extent(source: PointSource) -> tuple[int, FloatArray, float]:
    """Count the points; give their lowest corner and longest extent."""
    n, low, high = 0, np.full(3, np.inf), np.full(3, -np.inf)
    for part in _chunks(source):
        finite = np.isfinite(part).all(axis=1)
        if not finite.all():
            raise GeometryError(
                f"tiles: {int((~finite).sum())} of the points from row {n} to {n + len(part) - 1} "
                f"are not finite (first: row {n + int(finite.argmin())}); remove them first."
            )
        n += len(part)
        low, high = np.minimum(low, part.min(axis=0)), np.maximum(high, part.max(axis=0))
    if n == 0:
        raise TooFewPointsError("tiles: no point was given.")
    return n, low, float((high - low).max())


def _chunks(source: PointSource) -> Iterator[FloatArray]:
    """Give the points piece by piece."""
    if not isinstance(source, str | Path):
        points = source if isinstance(source, np.ndarray) else np.asarray(source, np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise GeometryError(
                f"tiles: points of shape (n, 3) were expected, found {points.shape}."
            )
        for begin in range(0, len(points), _CHUNK):
            yield np.asarray(points[begin : begin + _CHUNK], dtype=np.float64)
        return
    path = Path(source)
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise ReadError(f"{path}: a folder with .parquet files was expected, found none.")
        for file in files:
            yield from _chunks(file)
        return
    if path.suffix == ".npy":
        # In memory one piece at a time: a mapped file would count as memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        n = len(array)
        for begin in range(0, n, _CHUNK):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            yield from _chunks(np.array(array[begin : begin + _CHUNK], dtype=np.float64))
        return
    if path.suffix != ".parquet":
        raise ReadError(
            f"{path}: a .npy or .parquet file of positions was expected, or a folder of .parquet."
        )
    import pyarrow.parquet as pq

    # Read as it is decoded: a file may be one group of rows, larger than memory.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
        names = ["x_nm", "y_nm", "z_nm"]
        missing = [name for name in names if name not in file.schema_arrow.names]
        if missing:
            raise ReadError(
                f"{path}: columns {', '.join(names)} were expected; {', '.join(missing)} missing."
            )
        for batch in file.iter_batches(_CHUNK, columns=names):
            yield np.column_stack([batch[name].to_numpy(zero_copy_only=False) for name in names])
