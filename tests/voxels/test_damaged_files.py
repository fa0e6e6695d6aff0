"""Damaged volumes, each a case that an attack found or that is made to fill the memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.core.region_files import read_region
from nanospine.voxels.deep_folders import _read as read_tool_labels
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.volume_files import read_labels, read_volume, write_volume

NRRD = (
    "NRRD0004\ntype: uint8\ndimension: 3\nsizes: {sizes}\nspace directions: (1,0,0) (0,1,0) (0,0,1)"
    "\nencoding: {encoding}\nspace origin: (0,0,0)\n\n"
)


def circle(next_page: int = 8, rows: int = 1) -> bytes:
    """A TIFF of one page, 1 pixel wide, whose next page is itself."""
    tags = [
        (256, 1),
        (257, rows),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 1),
        (279, 1),
    ]
    body = struct.pack("<H", len(tags))
    body += b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", next_page)


def npz(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return packed.getvalue()


def npy(values: object) -> bytes:
    packed = io.BytesIO()
    np.save(packed, np.asarray(values))
    return packed.getvalue()


DAMAGED = {
    "strips that are missing": ("a.tif", circle(0, 60_000), "60000 strips were expected, found 1"),
    "pages in a circle": ("a.tif", circle(), "circle"),
    "xml that is none": ("a.ome.tif", None, "cannot be read as ome-tiff|not say how large"),
    "place that is text": (
        "a.npz", npz(data=npy(np.zeros((1, 2, 3))), voxel_nm=b"no npy", origin_nm=npy([0, 0, 0])),
        "cannot be read as npz"),
    "voxels of two lengths": (
        "a.npz", npz(data=npy(np.zeros((1, 2, 3))), voxel_nm=npy([1, 1]), origin_nm=npy([0, 0, 0])),
        "voxel size of three"),
    "voxels that are texts": (
        "a.npz", npz(data=npy(np.array([[["a"]]])), voxel_nm=npy([1, 1, 1]),
                     origin_nm=npy([0, 0, 0])), "numbers were expected"),
    "voxels that are objects": (
        "a.npz", npz(data=b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': "
                          b"(1, 1, 1), }" + b" " * 56 + b"\n" + b"."),
        "cannot be read as npz"),
    "more than fits": ("a.nrrd", (NRRD.format(sizes="99999 99999 99999", encoding="gzip").encode()
                                  + gzip.compress(b"1")), "declares 999970000299999 bytes"),
    "sizes below zero": ("a.nrrd", NRRD.format(sizes="-2 -2 1", encoding="raw").encode() + b"1234",
                         "declares"),
    "gzip that is none": ("a.nrrd", NRRD.format(sizes="2 2 1", encoding="gzip").encode()
                          + gzip.compress(b"1234")[:12] + b"\xff" * 9, "cannot be read as NRRD"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("read", [read_volume, read_labels])
def test_damage_is_one_clear_error(case: str, read: object, tmp_path: Path) -> None:
    name, content, said = DAMAGED[case]
    path = tmp_path / name
    if content is None:
        whole = VoxelGrid(np.zeros((2, 3, 4), np.uint8), (1, 1, 1), (0, 0, 0))
        good = write_volume(whole, path, sidecar=False).read_bytes()
        path.write_bytes(good.replace(b"<Pixels", b"<<ixels"))
    else:
        path.write_bytes(content)
    with pytest.raises(ReadError, match=said):
        read(path)  # type: ignore[operator]


def test_a_mask_whose_pages_run_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "mask.tif").write_bytes(circle())
    with pytest.raises(ReadError, match="circle"):
        read_region(tmp_path / "mask.tif", voxel_nm=10.0)


def test_labels_of_a_tool_that_are_damaged(tmp_path: Path) -> None:
    (tmp_path / "case.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'")
    with pytest.raises(ReadError, match="cannot be read"):
        read_tool_labels(tmp_path / "case.npy")


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_line_ends_among_the_voxels_of_an_nrrd_are_voxels(encoding: str, tmp_path: Path) -> None:
    data = np.tile(np.frombuffer(b"\r\n\n\n\r\n\r\n", np.uint8), 64).reshape(4, 8, 16)
    body = data.tobytes() if encoding == "raw" else gzip.compress(data.tobytes(), 0)
    path = tmp_path / "a.nrrd"
    path.write_bytes(NRRD.format(sizes="16 8 4", encoding=encoding).encode() + body)
    np.testing.assert_array_equal(read_volume(path).data, data)
    windows = NRRD.format(sizes="16 8 4", encoding=encoding).replace("\n", "\r\n")
    path.write_bytes(windows.encode() + body)
    np.testing.assert_array_equal(read_volume(path).data, data)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 4, 3), (4, 3, 2), (1, 1, 1), (1, 4, 4)])
def test_three_or_four_columns_are_no_colours(
    name: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    data = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = write_volume(VoxelGrid(data, (50, 20, 10), (0, 5, 7)), tmp_path / name, sidecar=False)
    back = read_volume(path)
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_allclose(back.voxel_nm, (50, 20, 10), rtol=1e-6)


class Harm:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["|O", "|u1"])
@pytest.mark.parametrize("filters", [["pickle"], ["zlib", "pickle"], []])
def test_pickles_in_a_zarr_do_not_run(kind: str, filters: list[str], tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    store, mark = tmp_path / "a.ome.zarr", tmp_path / "harmed"
    (store / "0").mkdir(parents=True)
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    level = {"path": "0", "coordinateTransformations": scale}
    image = {"version": "0.4", "axes": axes, "datasets": [level]}
    (store / ".zattrs").write_text(json.dumps({"multiscales": [image]}))
    array = {
        "zarr_format": 2, "shape": [1, 1, 2], "chunks": [1, 1, 2], "dtype": kind, "fill_value": 0,
        "order": "C", "compressor": None if filters else {"id": "pickle"},
        "filters": [{"id": name} for name in filters] or None,
    }  # fmt: skip
    (store / "0" / ".zarray").write_text(json.dumps(array))
    (store / "0" / "0.0.0").write_bytes(pickle.dumps(Harm(mark)))
    with pytest.raises(UnsafeFileError, match="pickles"):
        read_volume(store)
    assert not mark.exists()


@pytest.mark.parametrize("how", ["link", "raw", "virtual"])
def test_voxels_of_an_imaris_file_that_lie_elsewhere(how: str, tmp_path: Path) -> None:
    place = write_volume(
        VoxelGrid(np.zeros((2, 3, 4), np.uint8), (1, 1, 1), (0, 0, 0)), tmp_path / "a.ims",
        sidecar=False,
    )  # fmt: skip
    (tmp_path / "secret").write_bytes(bytes(64))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["Data"] = np.ones((2, 3, 4), np.uint8)
    with h5py.File(place, "a") as file:
        group = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"]
        del group["Data"]
        if how == "link":
            group["Data"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/Data")
        elif how == "raw":
            group.create_dataset(
                "Data", (2, 3, 4), np.uint8, external=[(str(tmp_path / "secret"), 0, 64)]
            )
        else:
            layout = h5py.VirtualLayout((2, 3, 4), np.uint8)
            layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "Data", (2, 3, 4))
            group.create_virtual_dataset("Data", layout)
    with pytest.raises(UnsafeFileError, match=r"other files|an external link"):
        read_volume(place)


def test_a_zarr_whose_scale_is_a_number_of_401_digits(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    whole = VoxelGrid(np.zeros((2, 3, 4), np.uint8), (1, 1, 1), (0, 0, 0))
    place = write_volume(whole, tmp_path / "a.ome.zarr", sidecar=False)
    text = (place / "zarr.json").read_text()
    marked = json.loads(text)
    level = marked["attributes"]["ome"]["multiscales"][0]["datasets"][0]
    level["coordinateTransformations"][0]["scale"] = [10**400, 1, 1]
    (place / "zarr.json").write_text(json.dumps(marked))
    with pytest.raises(ReadError):
        read_volume(place)
