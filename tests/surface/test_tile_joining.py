"""The surface from tiles that ask nobody is that of all points at once, bit for bit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.core.errors import GeometryError, ReadError
from nanospine.surface import tile_bands
from nanospine.surface.alpha_complex import alpha_complex
from nanospine.surface.tile_boundary import HALOS, tile_boundary
from nanospine.surface.tile_files import save_boundary
from nanospine.surface.tile_joining import JoinedSurface, join_tiles
from nanospine.surface.tiles import TiledPoints

FloatArray = npt.NDArray[np.float64]


def cloud(kind: str, n: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    if kind == "grid":  # every eight corners lie on one sphere; bodies touch in edges and points
        return np.unique(rng.integers(0, 9, (n, 3)) * 10.0, axis=0)
    if kind == "shell":  # with a void, and bodies in it
        shell = rng.normal(size=(n, 3))
        shell = 100 * shell / np.linalg.norm(shell, axis=1)[:, None] + rng.normal(0, 2, (n, 3))
        return rng.permutation(np.concatenate([shell, rng.normal(0, 12, (n // 4 + 4, 3))]))
    if kind == "far":  # single precision is coarse there
        return rng.random((n, 3)) * 150 + 4e5
    return rng.random((n, 3)) * 150


def tiles_of(points: FloatArray, alpha: float, per_tile: int, folder: Path) -> list[Path]:
    with TiledPoints(points, HALOS * alpha, per_tile) as tiled:
        for number, tile in enumerate(tiled):
            save_boundary(tile_boundary(tile, alpha), folder / f"{number}")
        return [folder / f"{number}" for number in range(len(tiled))]


def same(found: JoinedSurface, expected: trimesh.Trimesh) -> None:
    vertices = np.concatenate(list(found.vertices()))
    faces = np.concatenate(list(found.faces()))
    assert np.array_equal(vertices, expected.vertices)
    assert np.array_equal(faces, expected.faces)
    assert found.n_vertices == len(vertices)
    assert found.n_faces == len(faces)
    assert found.volume_nm3 == pytest.approx(expected.volume, rel=1e-6, abs=1e-3)
    assert found.area_nm2 == pytest.approx(expected.area, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["cloud", "grid", "shell", "far"]),
    seed=st.integers(0, 10**6),
    n=st.integers(30, 400),
    per_tile=st.integers(20, 200),
    alpha=st.floats(8, 40),
    band=st.sampled_from([1, 50, 10**6]),
    voids=st.sampled_from(["keep", "fill"]),
    fraction=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
)
def test_tiles_give_the_surface_of_the_whole(
    kind: str, seed: int, n: int, per_tile: int, alpha: float, band: int, voids: str,
    fraction: float,
) -> None:  # fmt: skip
    points = cloud(kind, n, seed)
    choice = {"voids": voids, "min_component_fraction": fraction}
    whole = alpha_complex(points, alpha, points_per_tile=None)
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_bands, "_BAND_FACES", band)
        folders = tiles_of(points, alpha, per_tile, Path(place))
        if len(whole.tetrahedra) == 0:
            with pytest.raises(GeometryError, match="empty"):
                join_tiles(folders, **choice)  # type: ignore[arg-type]
            return
        found = join_tiles(folders[::-1], **choice)  # type: ignore[arg-type]
        same(found, whole.surface(points, **choice))  # type: ignore[arg-type]
        if kind != "far":  # copies of points are moved farther there
            assert found.solid_nm3 == pytest.approx(whole.volume_nm3, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("kind", "alpha"), [("cloud", 12.0), ("grid", 9.0)])
def test_bodies_that_touch_across_tiles(kind: str, alpha: float, seed: int, tmp_path: Path) -> None:
    """Edges and points in which bodies touch, on the borders of tiles, in the mesh of the whole."""
    points = cloud(kind, 1500, seed)
    expected = alpha_complex(points, alpha, points_per_tile=None).surface(points)
    copies = len(expected.vertices) - len(np.unique(np.round(expected.vertices, 1), axis=0))
    assert copies > 50
    with TiledPoints(points, HALOS * alpha, 100) as tiled:
        tiles = [tile_boundary(tile, alpha) for tile in tiled]
    needed = np.concatenate([tile.needed_key for tile in tiles])
    assert (needed[:, 4] >= 12).sum() > 2  # joints that were split
    assert (needed[:, 4] < 12).sum() > 100
    for number, tile in enumerate(tiles):
        save_boundary(tile, tmp_path / f"{number}")
    same(join_tiles(sorted(tmp_path.iterdir())), expected)


def peak_of_field(copies: int) -> int:
    """Bytes that joining `copies` shells in a row held at most, by tiles and bands of one size."""
    shell = cloud("shell", 2000, 0)
    shift = 400.0 * np.arange(copies)[:, None, None] * np.array([1.0, 0, 0])
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_bands, "_BAND_FACES", 4000)
        folders = tiles_of((shell + shift).reshape(-1, 3), 20.0, 3000, Path(name))
        assert copies <= len(folders) <= 2 * copies
        tracemalloc.start()
        found = join_tiles(folders, voids="fill")
        for pieces in (found.vertices(), found.faces()):
            for _ in pieces:
                pass
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert found.n_parts % copies == 0
    return held


def test_memory_does_not_grow_with_the_field() -> None:
    """Eight times the field takes the same memory.

    In a process of its own: what threads of earlier tests allocate would be counted too. Each
    field is joined twice and the smaller peak counts: Python's own tables, such as that of names
    of files, grow by megabytes at a moment that has nothing to do with the field.
    """
    script = (
        "import runpy, sys; peak = runpy.run_path(sys.argv[1])['peak_of_field']; "
        "print(*(min(peak(n), peak(n)) for n in (4, 32)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, __file__], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    few, many = map(int, ran.stdout.split())
    assert many < 1.3 * few


def test_bad_tiles_and_choices(tmp_path: Path) -> None:
    folders = tiles_of(cloud("cloud", 400, 0), 20.0, 100, tmp_path)
    with pytest.raises(GeometryError, match="voids must be"):
        join_tiles(folders, voids="open")  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="between 0 and 1"):
        join_tiles(folders, min_component_fraction=1.5)
    with pytest.raises(ReadError, match="do not fit together"):
        join_tiles(folders[:-1])
    with (folders[0] / "faces.npy").open("r+b") as file:
        file.truncate(300)
    with pytest.raises(ReadError, match="is damaged"):
        join_tiles(folders)
    (folders[1] / "counts.npz").unlink()
    with pytest.raises(ReadError, match="holds nothing of a tile"):
        join_tiles(folders)
