"""Fields larger than memory: what is written tile by tile is what is written whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app
from nanospine.core.errors import ConfigError, GeometryError, WriteError
from nanospine.voxels.sidecar import sidecar_path

zarr = pytest.importorskip("zarr", reason="zarr is not installed (volumes)")

ORIGIN = np.array([1e8, -250.0, 33.0])


def points(n: int = 3000) -> np.ndarray:
    """On a tube through a field that is long, so that levels and tiles end at odd places."""
    draw = np.random.default_rng(1)
    x = draw.uniform(0, 6330, n)
    return ORIGIN + np.column_stack([x, 600 + 400 * np.sin(x / 900), draw.normal(60, 20, n)])


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("mode", ["count", "gaussian"])
def test_tiles_make_the_same_files_as_the_whole(tmp_path: Path, mode: str, version: str) -> None:
    options = {"mode": mode, "voxel_nm": 10.0}
    if mode == "gaussian":
        options["precision_nm"] = 12.0
    whole = ns.voxelize(points(), **options)
    assert max(whole.shape) > 512  # three levels
    one, other = tmp_path / "one.ome.zarr", tmp_path / "other.ome.zarr"
    kind = "ome-zarr" if version == "0.5" else "ome-zarr-0.4"
    ns.write_volume(whole, one, format=kind)
    tiles = ns.voxel_tiles(points(), tile=(16, 50, 130), **options)
    assert ns.write_volume_tiles(tiles, other, version=version) == other
    a, b = zarr.open_group(one, mode="r"), zarr.open_group(other, mode="r")
    said = [json.loads(json.dumps(dict(group.attrs)).replace("one", "NAME")) for group in (a, b)]
    assert said[0] == json.loads(json.dumps(said[1]).replace("other", "NAME"))
    assert sorted(a.array_keys()) == sorted(b.array_keys()) == ["0", "1", "2"]
    for level in a.array_keys():
        np.testing.assert_array_equal(a[level][...], b[level][...])
    assert sidecar_path(one).read_text() == sidecar_path(other).read_text()
    back = ns.read_volume(other)
    np.testing.assert_array_equal(back.data, whole.data)
    np.testing.assert_array_equal(back.origin_nm, whole.origin_nm)


def test_an_empty_place_takes_no_space(tmp_path: Path) -> None:
    """A field of 160 MB in a few files: two localizations far from each other."""
    far = np.array([[5.0, 5, 5], [39_995.0, 4_995, 195]])
    tiles = ns.voxel_tiles(far, 10.0, tile=(20, 500, 500))
    place = ns.write_volume_tiles(tiles, tmp_path / "far.ome.zarr")
    group = zarr.open_group(place, mode="r")
    assert group["0"].shape == (20, 500, 4000)
    assert int(group["0"][0, 0, 0]) == int(group["0"][-1, -1, -1]) == 1
    assert sum(item.stat().st_size for item in place.rglob("*") if item.is_file()) < 200_000


def test_the_command_line_goes_tile_by_tile_where_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ns.write(ns.from_arrays(points()), tmp_path / "cell.parquet")
    words = ["voxelize", str(tmp_path / "cell.parquet"), "--voxel-nm", "10", "--json", "-o"]
    told = []
    for name, most in (("whole.ome.zarr", 10**9), ("tiles.ome.zarr", 1000)):
        monkeypatch.setattr("nanospine.cli.voxelize._MOST_AT_ONCE", most)
        monkeypatch.setattr("nanospine.cli.voxelize._TILE", (128, 128, 128))
        done = CliRunner().invoke(app, [*words, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        told.append(json.loads(done.stdout))
    assert "tile by tile" in told[1].pop("notes")[0]
    del told[0]["notes"], told[0]["file"], told[1]["file"]
    assert told[0] == told[1]
    assert told[0]["sum"] == 3000
    one, other = (ns.read_volume(tmp_path / f"{name}.ome.zarr") for name in ("whole", "tiles"))
    np.testing.assert_array_equal(one.data, other.data)


def test_what_is_no_field_is_refused(tmp_path: Path) -> None:
    tiles = list(ns.voxel_tiles(points(), 20.0, tile=(16, 50, 130)))
    with pytest.raises(GeometryError, match="no tiles"):
        ns.write_volume_tiles([], tmp_path / "a.zarr")
    with pytest.raises(GeometryError, match=r"tiles for .* voxels were expected"):
        ns.write_volume_tiles(tiles[:-1], tmp_path / "a.zarr")
    others = list(ns.voxel_tiles(points(), 30.0))
    with pytest.raises(GeometryError, match="tiles of one field"):
        ns.write_volume_tiles([tiles[0], *others], tmp_path / "a.zarr")
    with pytest.raises(ConfigError, match=r"ends in \.zarr"):
        ns.write_volume_tiles(tiles, tmp_path / "a.tif")
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(WriteError, match="is no zarr"):
        ns.write_volume_tiles(tiles, tmp_path / "mine.zarr")
    assert [item.name for item in tmp_path.iterdir()] == ["mine.zarr"]
