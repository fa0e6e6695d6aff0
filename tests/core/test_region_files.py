"""Regions read from files: what they hold comes back, and what is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import trimesh

import nanospine as ns
from nanospine.core.errors import NanospineError
from nanospine.core.region_files import read_region

RING = [[0, 0], [100, 0], [100, 100], [0, 100], [0, 0]]
HOLE = [[40, 40], [60, 40], [60, 60], [40, 60], [40, 40]]


def feature(*polygons: list[list[list[int]]]) -> str:
    shapes = [{"type": "Polygon", "coordinates": item} for item in polygons]
    features = [{"type": "Feature", "properties": {}, "geometry": item} for item in shapes]
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_a_polygon_keeps_its_hole_and_becomes_a_prism(tmp_path: Path) -> None:
    path = tmp_path / "field.geojson"
    path.write_text(feature([RING, HOLE]))
    region = read_region(path)
    assert isinstance(region, ns.Polygon)
    assert region.size == 9600
    assert read_region(path, z_range_nm=(-5, 5)).size == 96_000


def test_polygons_apart_are_one_region(tmp_path: Path) -> None:
    path = tmp_path / "cells.geojson"
    far = [[x + 300, y] for x, y in RING]
    path.write_text(feature([RING, HOLE], [far]))
    region = read_region(path)
    assert region.size == 19_600
    assert region.contains([[50, 50], [10, 50], [310, 50], [200, 50]]).tolist() == (
        [False, True, True, False]
    )
    assert read_region(path, z_range_nm=(0, 10)).size == 196_000
    both = {"type": "MultiPolygon", "coordinates": [[RING, HOLE], [far]]}
    path.write_text(json.dumps(both))
    assert read_region(path).size == 19_600
    near = [[x + 50, y] for x, y in RING]
    path.write_text(feature([RING], [near]))
    assert read_region(path).size == 15_000


def test_what_a_region_says_of_itself_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "box.json"
    path.write_text(json.dumps(ns.Box((1, 2, 3), (4, 6, 8)).to_dict()))
    assert read_region(path).size == 60


@pytest.mark.parametrize("suffix", ["ply", "stl", "obj", "glb"])
def test_a_mesh_is_closed_whatever_the_format_does_to_its_vertices(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"ball.{suffix}"
    ball = trimesh.creation.icosphere(radius=300)
    ball.export(path)
    assert read_region(path).size == pytest.approx(ball.volume, rel=1e-5)


@pytest.mark.parametrize("kind", ["npy", "npz", "tif"])
def test_a_mask_lies_where_its_voxels_say(tmp_path: Path, kind: str) -> None:
    data = np.zeros((3, 4, 5), dtype=np.uint8)
    data[1, 2, 3] = 255
    path = tmp_path / f"mask.{kind}"
    if kind == "npy":
        np.save(path, data)
    elif kind == "npz":
        np.savez(path, data=data, voxel_nm=[30, 20, 10], origin_nm=[15, 10, 5])
    else:
        tifffile.imwrite(path, data, photometric="minisblack")
    region = read_region(path, voxel_nm=None if kind == "npz" else (30, 20, 10))
    assert region.bounds_nm.tolist() == [[30, 40, 30], [40, 60, 60]]


BAD = {
    "no such file": ("none.ply", None, "no such file"),
    "unknown suffix": ("a.docx", b"x", "a region is read from"),
    "no JSON": ("a.geojson", b"{", "GeoJSON was expected"),
    "no polygon": ("a.geojson", b'{"type": "Point", "coordinates": [1, 2]}', "found none"),
    "numbers that are none": (
        "a.geojson", b'{"type": "Polygon", "coordinates": [["a"]]}', "not lists of x, y"),
    "crossing": (
        "a.geojson",
        b'{"type": "Polygon", "coordinates": [[[0, 0], [9, 9], [9, 0], [0, 9]]]}', "crossings"),
    "no mesh": ("a.ply", b"nonsense", "mesh"),
    "no array": ("a.npy", b"nonsense", "mask was expected"),
    "no image": ("a.tif", b"nonsense", "mask was expected"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named_with_what_was_expected(tmp_path: Path, case: str) -> None:
    name, content, says = BAD[case]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NanospineError, match=says) as caught:
        read_region(path)
    assert str(path) in str(caught.value)


def test_masks_say_their_voxel_size_or_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mask.npy"
    np.save(path, np.ones((4, 4)))
    with pytest.raises(NanospineError, match="give voxel_nm"):
        read_region(path)
    with pytest.raises(NanospineError, match="one positive length"):
        read_region(path, voxel_nm=-1)
    with pytest.raises(NanospineError, match="leave the z range out"):
        read_region(path, voxel_nm=10, z_range_nm=(0, 1))
    np.save(path, np.ones(4))
    with pytest.raises(NanospineError, match="found shape"):
        read_region(path, voxel_nm=10)


def test_an_open_mesh_is_refused(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(radius=300)
    ball.update_faces(np.arange(len(ball.faces)) > 3)
    ball.export(tmp_path / "open.ply")
    with pytest.raises(NanospineError, match="closed mesh"):
        read_region(tmp_path / "open.ply")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"features":' * 50_000,
        '{"type": "Polygon", "coordinates": [[[1' + "0" * 400 + ", 0], [1, 1], [0, 1]]]}",
        '{"type": "MultiPolygon", "coordinates": 3}',
        '{"kind": "prism", "polygon": [], "z_low_nm": 0, "z_high_nm": 1}',
        '{"kind": "polygon", "exterior_nm": [[0, 0], [9, 0], [0, 9]], "further": [3]}',
        '{"kind": "box", "low_nm": [1' + "0" * 400 + ', 0], "high_nm": [1, 1]}',
        '{"kind": "mask", "shape": [99999, 99999, 99999], "bits": "eJwDAAAAAAE=", '
        '"voxel_nm": [1, 1, 1], "origin_nm": [0, 0, 0]}',
        '{"kind": "mask", "shape": [2, 2], "bits": "////", '
        '"voxel_nm": [1, 1], "origin_nm": [0, 0]}',
    ],
)
def test_what_fuzzers_found_is_one_clear_error(content: str, tmp_path: Path) -> None:
    file = tmp_path / "region.json"
    file.write_text(content)
    with pytest.raises(NanospineError, match=r"region\.json: ."):
        read_region(file)
