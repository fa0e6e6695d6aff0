"""The surface from tiles that ask nobody is that of all points at once, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from nanospine.core.errors import ReadError
from nanospine.surface.alpha_complex import alpha_complex
from nanospine.surface.tile_boundary import HALOS, tile_boundary
from nanospine.surface.tiles import TiledPoints

FloatArray = npt.NDArray[np.float64]


def cloud(kind: str, n: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    if kind == "grid":  # every eight corners lie on one sphere
        return np.unique(rng.integers(0, 9, (n, 3)) * 10.0, axis=0)
    if kind == "shell":
        shell = rng.normal(size=(n, 3))
        return 100 * shell / np.linalg.norm(shell, axis=1)[:, None] + rng.normal(0, 2, (n, 3))
    return rng.random((n, 3)) * 150


def test_a_halo_of_2_alpha_would_be_wrong() -> None:
    points = cloud("cloud", 700, 1)

    def facets(halos: float) -> int:
        with TiledPoints(points, halos * 15.0, 60) as tiled:
            return sum(sum(tile_boundary(tile, 15.0).n_faces) for tile in tiled)

    whole = len(alpha_complex(points, 15.0, points_per_tile=None).surface(points).faces)
    assert facets(HALOS) == whole
    assert facets(2.0) != whole


def test_a_partitioned_folder_is_its_files_by_name(tmp_path: Path) -> None:
    points = cloud("cloud", 900, 0)
    for number, part in enumerate(np.array_split(points, 4)):
        folder = tmp_path / f"frame={number // 2}"
        folder.mkdir(exist_ok=True)
        frame = pd.DataFrame(part, columns=["x_nm", "y_nm", "z_nm"])
        frame.to_parquet(folder / f"part-{number}.parquet")
    whole = alpha_complex(points, 15.0)
    found = alpha_complex(tmp_path, 15.0, points_per_tile=100)
    assert found.n_tiles > 5
    assert found.n_points == 900
    assert {tuple(sorted(row)) for row in found.tetrahedra.tolist()} == {
        tuple(sorted(row)) for row in whole.tetrahedra.tolist()
    }


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="found none"):
        alpha_complex(tmp_path, 15.0)


def test_kept_tiles_are_read_again(tmp_path: Path) -> None:
    points = cloud("cloud", 500, 0)
    with TiledPoints(points, 20.0, 100, keep=tmp_path) as tiled:
        first = list(tiled)
    with TiledPoints.stored(tmp_path) as again:
        assert len(again) == len(first)
        for a, b in zip(first, again, strict=True):
            assert np.array_equal(a.points_nm, b.points_nm)
            assert np.array_equal(a.ids, b.ids)
            assert np.array_equal(a.own, b.own)


@pytest.mark.parametrize("harm", ["cut", "no index", "no points"])
def test_damaged_tiles_are_refused(harm: str, tmp_path: Path) -> None:
    TiledPoints(cloud("cloud", 500, 0), 20.0, 100, keep=tmp_path).close()
    if harm == "cut":
        with (tmp_path / "sorted.bin").open("r+b") as file:
            file.truncate(1000)
    else:
        (tmp_path / ("index.npz" if harm == "no index" else "sorted.bin")).unlink()
    with pytest.raises(ReadError):
        TiledPoints.stored(tmp_path)
