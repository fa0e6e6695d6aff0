"""Simulated training data: true to the shape, and readable by those it is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from nanospine.core.errors import ConfigError, WriteError
from nanospine.output.training_layouts import run_lengths, write_training_volumes
from nanospine.output.training_volumes import simulated_pair, truth_labels
from nanospine.simulate import spine
from nanospine.voxels.grid import VoxelGrid

OPTIONS: dict[str, Any] = {"voxel_nm": 90.0, "length_nm": 1500.0}


def test_labels_are_those_of_every_voxel_taken_alone() -> None:
    shape = spine("mushroom", seed=1, shaft_length_nm=1500)
    grid = VoxelGrid(np.zeros((24, 40, 30)), (80.0, 60.0, 70.0), (-900, -1900, -300))
    labels = truth_labels(shape, grid)
    xyz = grid.to_xyz_nm(np.argwhere(np.ones(grid.shape)))
    inside = shape.signed_distance_nm(xyz) < 0
    shaft = shape.shaft.signed_distance_nm(xyz) <= 0
    expected = np.where(inside, np.where(shaft, 1, 2), 0)
    assert (labels.ravel() == expected).all()
    volume = (labels == 2).sum() * 80.0 * 60 * 70
    assert volume == pytest.approx(shape.truth.spines["volume_nm3"][0], rel=0.1)


def test_the_same_seed_gives_the_same_pair_and_another_another() -> None:
    first, second, third = (simulated_pair(s, **OPTIONS) for s in (3, 3, 4))
    assert (first.image.data == second.image.data).all()
    assert (first.labels.data == second.labels.data).all()
    assert first.image.shape != third.image.shape or (first.image.data != third.image.data).any()
    # Membrane: most localizations lie near the outline, but no further out than precision allows.
    assert first.image.data[first.labels.data > 0].sum() > 0.3 * first.image.data.sum()


def test_filled_images_are_bright_inside() -> None:
    pair = simulated_pair(3, mode="filled", **OPTIONS)
    inside, outside = (
        pair.image.data[pair.labels.data > 0],
        pair.image.data[pair.labels.data == 0],
    )
    assert inside.mean() > 5 * outside.mean()
    with pytest.raises(ConfigError, match="counts or filled"):
        simulated_pair(3, mode="odd")


def test_nnunet_gets_images_labels_spacing_and_dataset_json(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile", reason="tifffile writes the volumes")
    folder = tmp_path / "raw"
    table = write_training_volumes(folder, 2, layout="nnunet", seed=3, voxel_nm=(120.0, 90.0, 90.0),
                                   length_nm=1500.0)  # fmt: skip
    place = folder / "Dataset501_nanospine"
    dataset = json.loads((place / "dataset.json").read_text())
    assert dataset["labels"] == {"background": 0, "dendrite": 1, "spine": 2}
    assert dataset["numTraining"] == 2
    for row in table.itertuples():
        image = tifffile.imread(place / "imagesTr" / f"{row.case}_0000.tif")
        labels = tifffile.imread(place / "labelsTr" / f"{row.case}.tif")
        assert image.shape == labels.shape == (row.nz, row.ny, row.nx)
        assert np.unique(labels).tolist() == [0, 1, 2]
        spacing = json.loads((place / "labelsTr" / f"{row.case}.json").read_text())["spacing"]
        assert spacing == pytest.approx([0.12, 0.09, 0.09])
    pair = simulated_pair(3, voxel_nm=(120.0, 90.0, 90.0), length_nm=1500.0)
    assert (tifffile.imread(place / "imagesTr/dendrite_0000_0000.tif") == pair.image.data).all()


def test_nnunet_itself_takes_the_data_set(tmp_path: Path) -> None:
    pytest.importorskip("tifffile", reason="tifffile writes the volumes")
    check = pytest.importorskip(
        "nnunetv2.experiment_planning.verify_dataset_integrity", reason="nnU-Net is the judge"
    )
    write_training_volumes(tmp_path / "raw", 2, layout="nnunet", seed=3, **OPTIONS)
    check.verify_dataset_integrity(str(tmp_path / "raw/Dataset501_nanospine"), 1)


def test_deepd3_gets_stacks_masks_and_meta(tmp_path: Path) -> None:
    write_training_volumes(tmp_path / "d3", 2, layout="deepd3", seed=3, **OPTIONS)
    pair = simulated_pair(3, **OPTIONS)
    with h5py.File(tmp_path / "d3/training.d3set") as file:
        assert sorted(file["data"]) == ["dendrites", "spines", "stacks"]
        assert (file["data/stacks/x0"][()] == pair.image.data).all()
        assert (file["data/spines/x0"][()] == (pair.labels.data > 1)).all()
        assert (file["data/dendrites/x0"][()] == (pair.labels.data == 1)).all()


@pytest.mark.filterwarnings("ignore")
def test_a_d3set_is_read_by_the_library_of_deepd3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The library is not kept up with NumPy 2: it lacks two names only.
    monkeypatch.setattr(np, "unicode_", np.str_, raising=False)
    monkeypatch.setattr(np, "string_", np.bytes_, raising=False)
    flammkuchen = pytest.importorskip("flammkuchen", reason="DeepD3 reads with flammkuchen")
    write_training_volumes(tmp_path / "d3", 2, layout="deepd3", seed=3, **OPTIONS)
    held = flammkuchen.load(str(tmp_path / "d3/training.d3set"))
    assert list(held["data"]["stacks"]) == ["x0", "x1"]
    assert held["meta"]["Resolution_XY"].tolist() == pytest.approx([0.09, 0.09])
    assert (held["meta"]["Depth"][1], held["meta"]["Width"][1]) == (
        held["data"]["stacks"]["x1"].shape[0],
        held["data"]["stacks"]["x1"].shape[2],
    )


def decoded(annotation: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Run lengths back to a mask, the slow way."""
    height, width = annotation["segmentation"]["size"]
    flat, value = [], False
    for count in annotation["segmentation"]["counts"]:
        flat += [value] * count
        value = not value
    return np.array(flat).reshape(width, height).T


def test_coco_gets_planes_and_masks_that_follow_an_object(tmp_path: Path) -> None:
    from PIL import Image

    write_training_volumes(tmp_path / "coco", 1, layout="coco", seed=3, **OPTIONS)
    pair = simulated_pair(3, **OPTIONS)
    held = json.loads((tmp_path / "coco/annotations.json").read_text())
    rebuilt = np.zeros(pair.labels.shape, dtype=int)
    planes = {image["id"]: image for image in held["images"]}
    for annotation in held["annotations"]:
        mask = decoded(annotation)
        rebuilt[planes[annotation["image_id"]]["z"]][mask] = annotation["instance_id"]
        x, y, w, h = annotation["bbox"]
        assert mask.sum() == annotation["area"] == mask[y : y + h, x : x + w].sum()
    assert (rebuilt == pair.labels.data).all()
    image = Image.open(tmp_path / "coco/images" / held["images"][5]["file_name"])
    assert (np.asarray(image) == pair.image.data[5]).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools
def test_run_lengths_are_those_of_pycocotools() -> None:
    mask_api = pytest.importorskip("pycocotools.mask", reason="pycocotools is the oracle")
    draw = np.random.default_rng(0)
    for share in (0.0, 0.5, 1.0):
        mask = draw.random((7, 9)) < share
        packed = mask_api.frPyObjects({"size": [7, 9], "counts": run_lengths(mask)}, 7, 9)
        assert (mask_api.decode(packed) == mask).all()


def test_a_folder_in_use_and_odd_layouts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(WriteError, match="holds something"):
        write_training_volumes(tmp_path, 1, layout="deepd3")
    with pytest.raises(WriteError, match="does not exist"):
        write_training_volumes(tmp_path / "a/b", 1, layout="deepd3")
    with pytest.raises(ConfigError, match="layout of nnunet, deepd3, coco"):
        write_training_volumes(tmp_path / "a", 1, layout="odd")
    with pytest.raises(ConfigError, match="count of 1"):
        write_training_volumes(tmp_path / "a", 0)
    assert not list(tmp_path.glob(".*part"))


def test_the_command_line_writes_volumes(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from nanospine.cli.app import app

    run = CliRunner().invoke
    out = tmp_path / "set"
    short = ["--volumes", "1", "--layout", "deepd3", "--length-nm", "1500"]
    done = run(app, ["simulate", str(out), *short, "--voxel-nm", "120,94,94", "--seed", "3"])
    assert done.exit_code == 0, done.output
    assert (out / "training.d3set").is_file()
    assert (out / "volumes.csv").read_text().startswith("case,seed,n_spines")
    again = run(app, ["simulate", str(tmp_path / "b"), *short, "--voxel-nm", "0"])
    assert again.exit_code == 2
