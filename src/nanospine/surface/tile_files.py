"""What tiles give to a surface, in files of which a part can be read."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError
from nanospine.surface.tile_boundary import TileBoundary

__all__ = ["TileFiles", "save_boundary"]

Array = npt.NDArray[Any]
# Shape, kind of number, and where the numbers begin.
_Head = tuple[tuple[int, ...], np.dtype[Any], int]

_COUNTS = ("n_vertices", "n_faces", "n_points", "n_tetrahedra", "volume_nm3")
_COLUMNS = tuple(item.name for item in fields(TileBoundary) if item.name not in _COUNTS)


def save_boundary(found: TileBoundary, folder: Path) -> None:
    """Write what a tile gives to a folder that appears whole; one that is there already stays.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    temporary = folder.parent / f".{secrets.token_hex(6)}.part"
    temporary.mkdir()
    try:
        for name in _COLUMNS:
            _write(temporary / f"{name}.npy", getattr(found, name), safe=True)
        counts = {name: np.array(getattr(found, name)) for name in _COUNTS}
        with (temporary / "counts.npz").open("wb") as file:
            np.savez(file, **counts)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        if not folder.exists():
            temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class TileFiles:
    """The columns of one tile on disk, and those that the joining adds.

    Parameters
    ----------
    folder : Path
        As :func:`save_boundary` wrote it.

    Raises
    ------
    ReadError
        When it is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from nanospine.surface.tile_boundary import tile_boundary
    >>> from nanospine.surface.tiles import Tile
    >>> points = np.random.default_rng(0).random((500, 3)) * 100
    >>> tile = Tile(points, np.arange(500), np.ones(500, dtype=bool))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save_boundary(tile_boundary(tile, 15.0), Path(place) / "tile")
    ...     files = TileFiles(Path(place) / "tile")
    ...     files.read("faces", 2, 4).shape, files.n_points
    ((2, 3), 500)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._heads: dict[str, _Head] = {}
        try:
            with np.load(folder / "counts.npz", allow_pickle=False) as counts:
                self.n_vertices: tuple[int, ...] = tuple(counts["n_vertices"].tolist())
                self.n_faces: tuple[int, ...] = tuple(counts["n_faces"].tolist())
                self.n_points, self.n_tetrahedra = (
                    int(counts[name]) for name in ("n_points", "n_tetrahedra")
                )
                self.volume_nm3 = float(counts["volume_nm3"])
        except (OSError, ValueError, KeyError) as error:
            raise ReadError(f"{folder}: holds nothing of a tile ({error}).") from error
        self.n_all_vertices = self._shape("vertex_part")[0]

    def read(self, name: str, begin: int = 0, end: int | None = None) -> Array:
        """Read rows of a column."""
        try:
            with self._path(name).open("rb") as file:
                shape, kind, start = self._head(name, file)
                stop = shape[0] if end is None else end
                width = int(np.prod(shape[1:], dtype=np.int64))
                file.seek(start + begin * width * kind.itemsize)
                data = np.fromfile(file, kind, (stop - begin) * width)
            return data.reshape(stop - begin, *shape[1:])
        except (OSError, ValueError) as error:
            raise ReadError(f"{self._path(name)}: is damaged ({error}).") from error

    def write(self, name: str, values: Array) -> None:
        """Add a column, or write it anew."""
        self._heads.pop(name, None)
        _write(self._path(name), values)

    def reserve(self, name: str, shape: Sequence[int], kind: npt.DTypeLike) -> None:
        """Make room for a column that is written in pieces."""
        self._heads.pop(name, None)
        with self._path(name).open("wb") as file:
            head = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(file, head)
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
            file.truncate(file.tell() + size)

    def fill(self, name: str, begin: int, values: Array) -> None:
        """Write rows of a column that there is room for."""
        with self._path(name).open("r+b") as file:
            shape, kind, start = self._head(name, file)
            width = int(np.prod(shape[1:], dtype=np.int64))
            file.seek(start + begin * width * kind.itemsize)
            file.write(np.ascontiguousarray(values, dtype=kind).tobytes())

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _shape(self, name: str) -> tuple[int, ...]:
        try:
            with self._path(name).open("rb") as file:
                return self._head(name, file)[0]
        except (OSError, ValueError) as error:
            raise ReadError(f"{self._path(name)}: is damaged ({error}).") from error

    def _head(self, name: str, file: Any) -> _Head:
        """Read the head of a column once; each reading leaves cycles for the collector."""
        if name not in self._heads:
            self._heads[name] = _read_head(file)
        return self._heads[name]


def _read_head(file: Any) -> _Head:
    """Read the head of a .npy file; nothing but plain numbers is taken."""
    np.lib.format.read_magic(file)
    shape, fortran_order, kind = np.lib.format.read_array_header_1_0(file)
    if fortran_order or kind.hasobject:
        raise ValueError("not rows of numbers")
    return shape, kind, file.tell()


def _write(path: Path, values: Array, *, safe: bool = False) -> None:
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(values), allow_pickle=False)
        if safe:  # what is named as done must be on the disk
            file.flush()
            os.fsync(file.fileno())
