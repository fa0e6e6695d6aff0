"""Volumes go out and come back; readers that are not ours find the voxels where they belong."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from nanospine.core.errors import ConfigError, GeometryError, ReadError, WriteError
from nanospine.voxels.grid import LabelGrid, VoxelGrid
from nanospine.voxels.sidecar import sidecar_path
from nanospine.voxels.volume_files import read_labels, read_volume, write_volume

SHAPE = (5, 6, 8)
VOXEL = (33.3, 10.7, 11.9)
ORIGINS = [(-412.337, 18234.519, 7.25), (1e8, -1e8, 9.87654321e7)]
NAMES = ["a.tif", "a.ome.tif", "a.npz", "a.ome.zarr", "a.nrrd", "a.seg.nrrd", "a.nii", "a.nii.gz",
         "a.ims"]  # fmt: skip
NEEDS = {"zarr": "zarr", "nii": "nibabel", "gz": "nibabel"}


def need_for(name):
    library = NEEDS.get(name.rsplit(".", 1)[-1])
    if library:
        pytest.importorskip(library)


def make(kind=np.uint16, origin=ORIGINS[0]):
    data = np.random.default_rng(3).integers(0, 250, SHAPE).astype(kind)
    return VoxelGrid(data, VOXEL, origin)


def corners(voxel, origin, shape=SHAPE):
    return np.array([origin, np.array(origin) + np.array(voxel) * (np.array(shape) - 1)])


def assert_corners(found, grid, tolerance=0.01):
    off = np.abs(np.asarray(found) - corners(grid.voxel_nm, grid.origin_nm)) / grid.voxel_nm
    assert off.max() < tolerance


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", NAMES)
def test_a_volume_comes_back_by_its_own_metadata(tmp_path, name, origin):
    need_for(name)
    grid = make(origin=origin)
    place = write_volume(grid, tmp_path / name, sidecar=False)
    back = read_volume(place)
    np.testing.assert_array_equal(back.data, grid.data)
    assert_corners(corners(back.voxel_nm, back.origin_nm), grid)
    assert sorted(item.name for item in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_values_of_any_kind_are_kept_and_the_sidecar_knows_them(tmp_path, name, kind):
    need_for(name)
    grid = make(kind)
    place = write_volume(grid, tmp_path / name)
    back = read_volume(place)
    np.testing.assert_array_equal(back.data, grid.data)
    np.testing.assert_array_equal(back.origin_nm, grid.origin_nm)
    np.testing.assert_array_equal(back.voxel_nm, grid.voxel_nm)
    assert back.notes == (f"geometry from {name}.nanospine.json",)


@pytest.mark.parametrize("name", NAMES)
def test_labels_keep_their_roles(tmp_path, name):
    need_for(name)
    labels = LabelGrid(make(np.int32).data % 4, VOXEL, ORIGINS[0], {1: "shaft", 2: "spine", 3: "x"})
    back = read_labels(write_volume(labels, tmp_path / name))
    np.testing.assert_array_equal(back.labels, labels.labels)
    assert back.roles == {0: "background", 1: "shaft", 2: "spine", 3: "x"}


@pytest.mark.parametrize(
    ("name", "origin"),
    [("a.nrrd", ORIGINS[0]), ("a.nrrd", ORIGINS[1]), ("a.nii", ORIGINS[0])],
)
def test_itk_finds_the_voxels(tmp_path, name, origin):
    sitk = pytest.importorskip("SimpleITK")
    need_for(name)
    grid = make(origin=origin)
    image = sitk.ReadImage(str(write_volume(grid, tmp_path / name)))
    sign = np.array([1, -1, -1]) if name.endswith("nii") else np.ones(3)  # z, y, x: LPS, not RAS
    unit = 1e6 if name.endswith("nii") else 1e3  # ITK turns NIfTI's microns into mm
    found = [image.TransformIndexToPhysicalPoint(index) for index in ((0, 0, 0), (7, 5, 4))]
    assert_corners(np.array(found)[:, ::-1] * sign * unit, grid)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), grid.data)


@pytest.mark.parametrize(("origin", "header"), [(ORIGINS[0], 348), (ORIGINS[1], 540)])
def test_nifti_is_of_the_version_that_can_hold_the_origin(tmp_path, origin, header):
    """ITK reads NIfTI-1 only: the second version is for origins that the first would move."""
    nibabel = pytest.importorskip("nibabel")
    grid = make(origin=origin)
    image = nibabel.load(write_volume(grid, tmp_path / "a.nii"))
    assert image.header["sizeof_hdr"] == header
    found = image.affine @ np.array([[0, 0, 0, 1], [7, 5, 4, 1.0]]).T
    assert_corners(found[:3].T[:, ::-1] * 1e3, grid)
    assert image.header.get_xyzt_units()[0] == "micron"


@pytest.mark.parametrize("origin", ORIGINS)
def test_pynrrd_finds_the_voxels(tmp_path, origin):
    nrrd = pytest.importorskip("nrrd")
    grid = make(origin=origin)
    data, header = nrrd.read(str(write_volume(grid, tmp_path / "a.nrrd")), index_order="C")
    np.testing.assert_array_equal(data, grid.data)
    voxel = np.diag(header["space directions"])[::-1] * 1e3
    assert_corners(corners(voxel, header["space origin"][::-1] * 1e3), grid)
    assert header["space units"] == ["um", "um", "um"]


def test_slicer_gets_named_segments(tmp_path):
    slicerio = pytest.importorskip("slicerio")
    labels = LabelGrid(make(np.uint8).data % 3, VOXEL, ORIGINS[0], {1: "shaft", 2: "spine"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = slicerio.read_segmentation(str(write_volume(labels, tmp_path / "a.seg.nrrd")))
    assert {part["labelValue"]: part["name"] for part in found["segments"]} == {
        1: "shaft", 2: "spine"
    }  # fmt: skip
    np.testing.assert_array_equal(found["voxels"].T, labels.labels)
    at = found["ijkToLPS"] @ np.array([[0, 0, 0, 1], [7, 5, 4, 1.0]]).T
    assert_corners(at[:3].T[:, ::-1] * 1e3, labels.grid)


@pytest.mark.parametrize("version", ["ome-zarr", "ome-zarr-0.4"])
@pytest.mark.parametrize("origin", ORIGINS)
def test_ngff_zarr_finds_the_voxels(tmp_path, origin, version):
    pytest.importorskip("zarr")
    ngff_zarr = pytest.importorskip("ngff_zarr")
    grid = make(origin=origin)
    place = write_volume(grid, tmp_path / "a.ome.zarr", format=version)
    image = ngff_zarr.from_ngff_zarr(str(place)).images[0]
    voxel = [image.scale[axis] for axis in "zyx"]
    at = [image.translation[axis] for axis in "zyx"]
    assert_corners(corners(voxel, at), grid)
    assert set(image.axes_units.values()) == {"nanometer"}
    np.testing.assert_array_equal(np.asarray(image.data), grid.data)


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_ome_zarr_is_valid(tmp_path, version):
    zarr = pytest.importorskip("zarr")
    models = pytest.importorskip("ome_zarr_models")
    kind = "ome-zarr" if version == "0.5" else "ome-zarr-0.4"
    grid = VoxelGrid(np.zeros((2, 3, 600), np.uint8), VOXEL, ORIGINS[0])  # three levels
    place = write_volume(grid, tmp_path / "a.zarr", format=kind)
    found = models.open_ome_zarr(zarr.open_group(place, mode="r"))
    assert type(found).__name__ == "Image"
    assert found.ome_zarr_version == version


def test_imagej_tags_say_what_imagej_reads(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    grid = make(origin=ORIGINS[1])
    with tifffile.TiffFile(write_volume(grid, tmp_path / "a.tif")) as tif:
        meta, tags = tif.imagej_metadata, tif.pages[0].tags
        width = tags["XResolution"].value[1] / tags["XResolution"].value[0]
    assert width * 1e3 == pytest.approx(VOXEL[2], rel=1e-9)
    assert meta["spacing"] * 1e3 == pytest.approx(VOXEL[0], rel=1e-12)
    x = [(i - meta["xorigin"]) * width * 1e3 for i in (0, SHAPE[2] - 1)]
    np.testing.assert_allclose(x, ORIGINS[1][2] + np.array([0, 7 * VOXEL[2]]), atol=0.1)


def test_the_sidecar_decides_and_disagreement_is_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    grid = make()
    place = write_volume(grid, tmp_path / "in.tif")
    card = sidecar_path(place)
    result = tmp_path / "labels.tif"
    tifffile.imwrite(result, grid.data % 3, imagej=True, resolution=(0.065, 0.065),
                     metadata={"axes": "ZYX", "unit": "um", "spacing": 0.15})  # fmt: skip
    with pytest.raises(GeometryError, match="voxels apart along"):
        read_labels(result, sidecar=card)
    back = read_labels(result, sidecar=card, metadata="ignore")
    np.testing.assert_array_equal(back.origin_nm, grid.origin_nm)
    tifffile.imwrite(result, (grid.data % 3)[:-1], photometric="minisblack")
    with pytest.raises(GeometryError, match="cropped, resampled or turned"):
        read_labels(result, sidecar=card)
    tifffile.imwrite(result, grid.data % 3, photometric="minisblack")
    assert read_volume(result, sidecar=card).notes[1].startswith("the voxels are not those")


def test_what_nobody_placed_needs_a_place(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    place = tmp_path / "bare.tif"
    tifffile.imwrite(place, np.zeros(SHAPE, np.uint8), photometric="minisblack")
    with pytest.raises(GeometryError, match="neither a sidecar nor the file"):
        read_volume(place)
    grid = read_volume(place, voxel_nm=(50, 20, 20), origin_nm=(1, 2, 3))
    assert (grid.voxel_nm.tolist(), grid.origin_nm.tolist()) == ([50, 20, 20], [1, 2, 3])
    placed = write_volume(grid, tmp_path / "placed.npz", sidecar=False)
    with pytest.raises(GeometryError, match="by its own metadata"):
        read_volume(placed, voxel_nm=10)


def test_channels_are_chosen_not_guessed(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    place = tmp_path / "two.tif"
    data = np.random.default_rng(0).integers(0, 9, (3, 2, 5, 6)).astype(np.uint16)
    tifffile.imwrite(place, data, imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(ReadError, match="give channel"):
        read_volume(place, voxel_nm=10)
    found = read_volume(place, voxel_nm=10, channel=1)
    np.testing.assert_array_equal(found.data, data[:, 1])


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_refused_with_a_sentence(tmp_path, name):
    need_for(name)
    place = tmp_path / name
    place.write_bytes(b"\x00rubbish" * 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ReadError, match=r"cannot be (read|opened)|does not begin"):
            read_volume(place)


def test_bad_requests(tmp_path):
    with pytest.raises(ConfigError, match="suffix"):
        write_volume(make(), tmp_path / "a.jpg")
    with pytest.raises(ConfigError, match="not known"):
        write_volume(make(), tmp_path / "a.tif", format="tiff")
    with pytest.raises(ReadError, match="no such file"):
        read_volume(tmp_path / "none.npz")
    big = VoxelGrid(np.full((1, 1, 1), 2**40), 10, (0, 0, 0))
    with pytest.raises(WriteError, match=r"ome\.tif"):
        write_volume(big, tmp_path / "big.tif")
    place = write_volume(make(), tmp_path / "a.npz")
    sidecar_path(place).write_text(json.dumps({"shape": [1]}))
    with pytest.raises(ReadError, match="no sidecar"):
        read_volume(place)


@pytest.mark.parametrize("version", ["ome-zarr", "ome-zarr-0.4"])
def test_levels_of_the_pyramid_lie_where_their_metadata_say(tmp_path, version):
    """The value of each voxel is its own position, and a mean of positions is a position."""
    zarr = pytest.importorskip("zarr")
    x = 1e6 + 13.0 * np.arange(600)
    data = np.broadcast_to(x, (4, 150, 600)).copy()
    place = write_volume(
        VoxelGrid(data, (40, 20, 13), (5, -7, 1e6)), tmp_path / "a.zarr", format=version
    )
    group = zarr.open_group(place, mode="r")
    multiscale = dict(group.attrs).get("ome", dict(group.attrs))["multiscales"][0]
    assert len(multiscale["datasets"]) == 3
    for number, level in enumerate(multiscale["datasets"]):
        array = np.asarray(group[level["path"]])
        scale, shift = (step[step["type"]] for step in level["coordinateTransformations"])
        np.testing.assert_allclose(array[0, 0], shift[2] + scale[2] * np.arange(array.shape[2]))
        assert array.shape == (4, [150, 75, 75][number], 600 >> number)
        assert scale[0] == 40.0
    labels = LabelGrid((data > 1.003e6).astype(np.uint16) * 7, 10.0, (0, 0, 0), {7: "spine"})
    place = write_volume(labels, tmp_path / "l.zarr", format=version)
    group = zarr.open_group(place, mode="r")
    assert set(np.unique(np.asarray(group["2"]))) == {0, 7}
    np.testing.assert_array_equal(read_labels(place).labels, labels.labels)


@pytest.mark.parametrize("origin", ORIGINS)
def test_the_model_of_ome_finds_the_voxels_of_an_ome_tiff(tmp_path, origin):
    tifffile = pytest.importorskip("tifffile")
    ome_types = pytest.importorskip("ome_types")
    grid = make(origin=origin)
    with tifffile.TiffFile(write_volume(grid, tmp_path / "a.ome.tif")) as tif:
        pixels = ome_types.from_xml(tif.ome_metadata).images[0].pixels
    to_nm = {"nm": 1.0, "µm": 1e3}
    voxel = [
        getattr(pixels, f"physical_size_{axis}")
        * to_nm[getattr(pixels, f"physical_size_{axis}_unit").value]
        for axis in "zyx"
    ]
    first, last = (
        [
            getattr(plane, f"position_{axis}")
            * to_nm[getattr(plane, f"position_{axis}_unit").value]
            for axis in "zyx"
        ]
        for plane in (pixels.planes[0], pixels.planes[-1])
    )
    assert_corners(corners(voxel, first), grid)
    assert (last[0] - first[0]) / voxel[0] == pytest.approx(SHAPE[0] - 1, abs=0.01)


@pytest.mark.parametrize("origin", ORIGINS)
def test_the_outer_faces_of_an_ims_file_are_those_of_the_voxels(tmp_path, origin):
    h5py = pytest.importorskip("h5py")
    grid = make(origin=origin)
    with h5py.File(write_volume(grid, tmp_path / "a.ims")) as held:
        image = held["DataSetInfo/Image"].attrs
        words = {name: b"".join(image[name]).decode() for name in image}
        data = held["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"][...]
    assert words["Unit"] == "um"
    low, high = (
        np.array([float(words[f"Ext{end}{axis}"]) for axis in (2, 1, 0)]) * 1e3
        for end in ("Min", "Max")
    )
    size = [int(words[name]) for name in "ZYX"]
    voxel = (high - low) / size
    assert_corners(corners(voxel, low + voxel / 2), grid)
    np.testing.assert_array_equal(data[: size[0], : size[1], : size[2]], grid.data)
