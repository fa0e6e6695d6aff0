"""One field of more localizations than a machine holds: its surface, tile by tile, by many workers.

The localizations are read lazily and sorted into tiles in a file; a worker reads one tile with its
halo and writes what the tile gives to the surface; at the end all are joined, on disk. A tile is
done when its folder is there whole, so a run that was killed goes on where it was, and a worker
that dies costs the tile that it was at. What comes out is the surface of all points at once, byte
for byte (:mod:`nanospine.surface.tile_boundary`); memory grows neither with the points nor with it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from nanospine.batch.ledger import remove_leftovers
from nanospine.batch.locks import folder_lock, wait_for_workers
from nanospine.batch.task import Outcome
from nanospine.batch.workers import run_in_processes
from nanospine.core.errors import GeometryError, NanospineError, ReadError, WriteError
from nanospine.core.files import atomic_path, input_sha256_of
from nanospine.core.progress import Progress, report
from nanospine.version import __version__

if TYPE_CHECKING:
    import trimesh

__all__ = ["FieldSurface", "FieldTile", "surface_of_field", "work_on_tile"]

_TILES, _RECORD, _SURFACE = "tiles", "field.json", "surface.ply"
# Workers die of what happens to machines; a tile that kills twice has a reason of its own.
_ROUNDS = 2
# Of trimesh; that it is asked whether it is closed takes three times as much.
_OPEN_BYTES_PER_FACE = 200.0


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
        """The folder that says that it is done."""
        return self.folder / f"tile-{self.number:06d}"


@dataclass(frozen=True, eq=False)
class FieldSurface:
    """The surface of a field, in a file.

    Attributes
    ----------
    path : Path
        A closed surface in nanometres (PLY; single precision).
    alpha_nm : float
        Radius of the probe.
    n_localizations, n_tiles, n_tetrahedra : int
        What it was made from.
    tetrahedra_volume_nm3, solid_volume_nm3 : float
        Of all tetrahedra, added up in the tiles; and of what the joined faces enclose before voids
        are filled and small parts left out. The two come from different numbers and agree.
    n_vertices, n_faces, n_parts : int
        Of the surface; parts hang together by vertices.
    area_nm2, volume_nm3 : float
        Of the surface, in double precision.
    n_tiles_worked : int
        Tiles that were worked on now; the others were done before.
    """

    path: Path
    alpha_nm: float
    n_localizations: int
    n_tiles: int
    n_tetrahedra: int
    tetrahedra_volume_nm3: float
    solid_volume_nm3: float
    n_vertices: int
    n_faces: int
    n_parts: int
    area_nm2: float
    volume_nm3: float
    n_tiles_worked: int

    @property
    def memory_to_open_gb(self) -> float:
        """Memory (10^9 bytes) that reading the surface takes: all other steps hold it whole.

        As measured (`benchmarks/README.md`); what is asked of it then takes more.
        """
        return self.n_faces * _OPEN_BYTES_PER_FACE / 1e9

    def read(self) -> trimesh.Trimesh:
        """Read the surface, whole, into `memory_to_open_gb`.

        Raises
        ------
        ReadError
            When it is not there any more.
        """
        from nanospine.core.mesh_files import load_triangles

        return load_triangles(self.path)

    def to_dict(self) -> dict[str, Any]:
        """Give the figures as JSON can hold them."""
        figures = asdict(self)
        del figures["path"]
        return {**figures, "memory_to_open_gb": round(self.memory_to_open_gb, 3)}

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
        For the sorted points (32 bytes each) and the tiles (some 100 bytes for each face of the
        surface), while they are needed, and for `surface.ply` and `field.json`. The workers must
        see it by the same path.
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
    ...     found.n_localizations, found.read().is_watertight, sorted(p.name for p in
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
        remove_leftovers(folder, *tiles.glob("*"))
        tasks = _prepared(source, tiles, float(alpha_nm), points_per_tile, progress)
        todo = [task for task in tasks if not task.result.exists()]
        _work(todo, jobs, scheduler, memory_gb, folder, progress)
        result = _joined(tasks, folder, voids, min_component_fraction, len(todo), progress)
        record = {"nanospine": __version__, "source": source.name, **result.to_dict()}
        with atomic_path(folder / _RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(tiles)
        report(progress, "joining the tiles", 1.0)
    return result


def work_on_tile(tile: FieldTile) -> Outcome:
    """Do one tile; what is wrong with it is an outcome, never an exception."""
    from nanospine.surface.tile_boundary import tile_boundary
    from nanospine.surface.tile_files import save_boundary
    from nanospine.surface.tiles import TiledPoints

    start = time.perf_counter()
    try:
        # Opened anew for each: a dask worker may have several threads, and a file one place.
        with TiledPoints.stored(tile.folder) as stored:
            points = stored.read(tile.number)
        save_boundary(tile_boundary(points, tile.alpha_nm), tile.result)
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
        if held - {_TILES, _RECORD, _SURFACE}:
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


def _joined(
    tasks: Sequence[FieldTile],
    folder: Path,
    voids: Literal["keep", "fill"],
    min_component_fraction: float,
    n_worked: int,
    progress: Progress | None,
) -> FieldSurface:
    """Join the tiles and write the surface, with one band of it in memory at a time."""
    from nanospine.output.export_ply import write_ply_pieces
    from nanospine.surface.tile_joining import join_tiles

    try:
        joined = join_tiles(
            [task.result for task in tasks],
            voids=voids, min_component_fraction=min_component_fraction, progress=progress,
        )  # fmt: skip
    except OSError as error:
        raise WriteError(
            f"{folder}: the tiles cannot be joined: {error.strerror or error}. They are kept: the "
            "same call goes on from there."
        ) from error
    path = folder / _SURFACE
    write_ply_pieces(path, joined.n_vertices, joined.n_faces, joined.vertices(), joined.faces())
    return FieldSurface(
        path=path,
        alpha_nm=tasks[0].alpha_nm,
        n_localizations=sum(tile.n_points for tile in joined.tiles),
        n_tiles=len(tasks),
        n_tetrahedra=sum(tile.n_tetrahedra for tile in joined.tiles),
        tetrahedra_volume_nm3=sum(tile.volume_nm3 for tile in joined.tiles),
        solid_volume_nm3=joined.solid_nm3,
        n_vertices=joined.n_vertices,
        n_faces=joined.n_faces,
        n_parts=joined.n_parts,
        area_nm2=joined.area_nm2,
        volume_nm3=joined.volume_nm3,
        n_tiles_worked=n_worked,
    )
