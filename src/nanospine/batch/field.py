"""One field of more localizations than a machine holds: its surface, tile by tile, by many workers.

The localizations are read lazily and sorted into tiles in a file; a worker reads one tile with its
halo and writes what the tile gives to the surface; at the end all are joined. A tile is done when
its file is there whole, so a run that was killed goes on where it was, and a worker that dies costs
the tile that it was at. What comes out is the surface of all points at once, bit for bit
(:mod:`nanospine.surface.tile_boundary`), and memory grows with it, not with the points.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from nanospine.batch.locks import folder_lock, wait_for_workers
from nanospine.batch.task import Outcome
from nanospine.batch.workers import run_in_processes
from nanospine.core.errors import GeometryError, NanospineError, ReadError, WriteError
from nanospine.core.files import atomic_path, input_sha256_of
from nanospine.core.progress import Progress, report
from nanospine.version import __version__

if TYPE_CHECKING:
    import trimesh

    from nanospine.surface.tile_boundary import TileBoundary

__all__ = ["FieldSurface", "FieldTile", "surface_of_field", "work_on_tile"]

_TILES, _RECORD = "tiles", "field.json"
# Workers die of what happens to machines; a tile that kills twice has a reason of its own.
_ROUNDS = 2


@dataclass(frozen=True)
class FieldTile:
    """A tile to work on: its number in the sorted points of a folder."""

    folder: Path
    number: int
    alpha_nm: float

    @property
    def name(self) -> str:
        """What its outcome is called."""
        return f"tile {self.number}"

    @property
    def result(self) -> Path:
        """The file that says that it is done."""
        return self.folder / f"tile-{self.number:06d}.npz"


@dataclass(frozen=True, eq=False)
class FieldSurface:
    """The surface of a field.

    Attributes
    ----------
    mesh : trimesh.Trimesh
        Closed, in nanometres.
    alpha_nm : float
        Radius of the probe.
    n_points, n_tiles, n_tetrahedra : int
        What it was made from.
    volume_nm3 : float
        Of all tetrahedra.
    n_worked : int
        Tiles that were worked on now; the others were done before.
    """

    mesh: trimesh.Trimesh = field(repr=False)
    alpha_nm: float
    n_points: int
    n_tiles: int
    n_tetrahedra: int
    volume_nm3: float
    n_worked: int

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as JSON can hold them."""
        return {
            "alpha_nm": self.alpha_nm,
            "n_localizations": self.n_points,
            "n_tiles": self.n_tiles,
            "n_tetrahedra": self.n_tetrahedra,
            "tetrahedra_volume_nm3": self.volume_nm3,
            "n_vertices": len(self.mesh.vertices),
            "n_faces": len(self.mesh.faces),
            "area_nm2": float(self.mesh.area),
            "volume_nm3": float(self.mesh.volume),
            "n_tiles_worked": self.n_worked,
        }

    def to_frame(self) -> pd.DataFrame:
        """Give the figures as a table of one row."""
        return pd.DataFrame([self.to_dict()])


def surface_of_field(
    source: str | Path,
    folder: str | Path,
    alpha_nm: float,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    memory_gb: float | None = None,
    points_per_tile: int = 500_000,
    voids: Literal["keep", "fill"] = "fill",
    min_component_fraction: float = 0.0,
    progress: Progress | None = None,
) -> FieldSurface:
    """Give the alpha surface of a field that is read from disk, tile by tile.

    Parameters
    ----------
    source : path
        A .parquet file with `x_nm`, `y_nm`, `z_nm`, a folder of such files (a partitioned
        table), or a .npy file of shape (n, 3).
    folder : path
        For the sorted points (32 bytes each) and the tiles, while they are needed, and for
        `surface.ply` and `field.json`. The workers must see it by the same path.
    alpha_nm : float
        Radius of the probe sphere, nm.
    jobs : int
        Processes at a time.
    scheduler : str, optional
        A dask scheduler, `tcp://host:8786`, or "local".
    memory_gb : float, optional
        Data that one process may allocate (10^9 bytes); without a scheduler.
    points_per_tile : int
        Tiles have no more, without their halo of 4 alpha.
    voids, min_component_fraction
        As for :meth:`nanospine.surface.alpha_complex.AlphaComplex.surface`.
    progress : callable, optional
        Told the stage and its fraction.

    Raises
    ------
    GeometryError
        A bad alpha, no surface, or tiles that failed twice; the others are kept.
    ReadError, WriteError, ConfigError
        For the source, the folder, the scheduler.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     np.save(f"{place}/points.npy", np.random.default_rng(0).random((600, 3)) * 100)
    ...     found = surface_of_field(f"{place}/points.npy", f"{place}/field", 20.0)
    ...     found.n_points, found.mesh.is_watertight, sorted(p.name for p in
    ...         Path(f"{place}/field").glob("[a-z]*"))
    (600, True, ['field.json', 'surface.ply'])
    """
    source, folder = Path(source), Path(folder)
    if not (np.isfinite(alpha_nm) and alpha_nm > 0):
        raise GeometryError(f"field: a positive alpha_nm was expected, found {alpha_nm!r}.")
    if not source.exists():
        raise ReadError(f"{source}: does not exist.")
    _check_folder(folder)
    with folder_lock(folder):
        wait_for_workers(folder)
        tiles = folder / _TILES
        tasks = _prepared(source, tiles, float(alpha_nm), points_per_tile, progress)
        todo = [task for task in tasks if not task.result.exists()]
        _work(todo, jobs, scheduler, memory_gb, folder, progress)
        parts = [_read_part(task.result) for task in tasks]
        report(progress, "joining the tiles", 0.0)
        result = _joined(
            parts, source, float(alpha_nm), voids, min_component_fraction, n_worked=len(todo)
        )
        _write(result, folder, source)
        shutil.rmtree(tiles)
        report(progress, "joining the tiles", 1.0)
    return result


def work_on_tile(tile: FieldTile) -> Outcome:
    """Do one tile; what is wrong with it is an outcome, never an exception."""
    from nanospine.surface.tile_boundary import tile_boundary
    from nanospine.surface.tiles import TiledPoints

    start = time.perf_counter()
    try:
        # Opened anew for each: a dask worker may have several threads, and a file one place.
        with TiledPoints.stored(tile.folder) as stored:
            points = stored.read(tile.number)
        found = tile_boundary(points, tile.alpha_nm)
        with atomic_path(tile.result) as temporary, temporary.open("wb") as file:
            np.savez(
                file, tetrahedra=found.tetrahedra, open=np.packbits(found.open, axis=1),
                counts=np.array([found.n_points, found.n_tetrahedra]), volume=found.volume_nm3,
            )  # fmt: skip
    except NanospineError as error:
        return Outcome(tile.name, "failed", str(error), type(error).__name__)
    except MemoryError:
        reason = "needs more memory than it may take; make smaller tiles (points_per_tile)."
        return Outcome(tile.name, "failed", reason, "MemoryError")
    except OSError as error:
        reason = f"{error.filename or 'files'}: {error.strerror or error}."
        return Outcome(tile.name, "failed", reason, "OSError")
    return Outcome(tile.name, "done", seconds=time.perf_counter() - start)


def _check_folder(folder: Path) -> None:
    if folder.is_dir():
        held = {item.name for item in folder.iterdir() if not item.name.startswith(".")}
        if held - {_TILES, _RECORD, "surface.ply"}:
            raise WriteError(
                f"{folder}: holds files that are not of a field; they are left alone. Name "
                "another folder."
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be made: {error.strerror or error}.") from error


def _prepared(
    source: Path, tiles: Path, alpha_nm: float, points_per_tile: int, progress: Progress | None
) -> list[FieldTile]:
    """Sort the points into tiles, unless that was done for the same content and question."""
    from nanospine.surface.tile_boundary import HALOS
    from nanospine.surface.tiles import TiledPoints

    report(progress, "reading", 0.0)
    asked = [input_sha256_of(source), alpha_nm, points_per_tile, __version__]
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    name = tiles / key[:16]
    try:
        stored = TiledPoints.stored(name)
    except ReadError:
        shutil.rmtree(tiles, ignore_errors=True)
        name.mkdir(parents=True)
        stored = TiledPoints(
            source, HALOS * alpha_nm, points_per_tile, keep=name, progress=progress
        )
    with stored:
        return [FieldTile(name.absolute(), number, alpha_nm) for number in range(len(stored))]


def _work(
    tasks: Sequence[FieldTile],
    jobs: int,
    scheduler: str | None,
    memory_gb: float | None,
    folder: Path,
    progress: Progress | None,
) -> None:
    """Do all tiles; those that fail because their worker died are done once more."""
    done, total = 0, len(tasks)
    failed: list[Outcome] = []
    for _ in range(_ROUNDS):
        todo = [task for task in tasks if not task.result.exists()]
        if not todo:
            return
        failed = []
        outcomes = _outcomes(todo, jobs, scheduler, memory_gb, folder)
        for outcome in outcomes:
            if outcome.status == "done":
                done += 1
                report(progress, "tiles", done / total)
            else:
                failed.append(outcome)
    if failed:
        raise GeometryError(
            f"field: {len(failed)} of {total} tiles failed; first {failed[0].name}: "
            f"{failed[0].reason} The others are kept: the same call does only what is missing."
        )


def _outcomes(
    tasks: Sequence[FieldTile],
    jobs: int,
    scheduler: str | None,
    memory_gb: float | None,
    folder: Path,
) -> Iterator[Outcome]:
    if scheduler is not None:
        from nanospine.batch.cluster import run_on_cluster

        return run_on_cluster(tasks, address=scheduler, jobs=jobs, work=work_on_tile)
    work: Callable[[FieldTile], Outcome] = work_on_tile
    return run_in_processes(
        tasks, jobs=min(jobs, len(tasks)), memory_gb=memory_gb, lock_folder=folder, work=work
    )


def _read_part(path: Path) -> TileBoundary:
    from nanospine.surface.tile_boundary import TileBoundary

    with np.load(path, allow_pickle=False) as part:
        is_open = np.unpackbits(part["open"], axis=1, count=4).astype(np.bool_)
        n_points, n_tetrahedra = part["counts"].tolist()
        return TileBoundary(
            part["tetrahedra"], is_open, n_points, n_tetrahedra, float(part["volume"])
        )


def _joined(
    parts: Sequence[TileBoundary],
    source: Path,
    alpha_nm: float,
    voids: Literal["keep", "fill"],
    min_component_fraction: float,
    *,
    n_worked: int,
) -> FieldSurface:
    from nanospine.surface.tile_boundary import join_boundaries

    mesh = join_boundaries(
        parts, source, voids=voids, min_component_fraction=min_component_fraction
    )
    return FieldSurface(
        mesh,
        alpha_nm,
        sum(part.n_points for part in parts),
        len(parts),
        sum(part.n_tetrahedra for part in parts),
        sum(part.volume_nm3 for part in parts),
        n_worked,
    )


def _write(result: FieldSurface, folder: Path, source: Path) -> None:
    from nanospine.output.export import write_mesh

    write_mesh(result.mesh, folder / "surface.ply")
    record = {"nanospine": __version__, "source": source.name, **result.to_dict()}
    with atomic_path(folder / _RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
