"""Segmenters against planted truth: simulated dendrites whose every voxel is known."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.output.training_volumes import VolumePair, simulated_pair
from nanospine.simulate import dendrite
from nanospine.voxels.grid import LabelGrid, VoxelGrid
from nanospine.voxels.segment import register_segmenter, run_segmenter, segment, segmenters
from nanospine.voxels.segmenters.common import Segmentation, foreground
from nanospine.voxels.segmenters.hk_means import thresholds
from nanospine.voxels.segmenters.senpai import parcellate


@cache
def planted(mode: str = "filled") -> VolumePair:
    shape = dendrite(3500, ["mushroom", "thin", "mushroom"], seed=5, voxel_nm=40.0)
    return simulated_pair(5, mode=mode, shape=shape, voxel_nm=60.0, psf_nm=20.0)


def dice(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def found_spines(labels: npt.NDArray[Any], truth: npt.NDArray[Any]) -> int:
    """Number of true spines with a label of their own that overlaps by half (IoU)."""
    count = 0
    for number in range(2, int(truth.max()) + 1):
        true = truth == number
        best = np.bincount(labels[true & (labels > 1)], minlength=1)
        if best.any():
            own = labels == best.argmax()
            count += bool((own & true).sum() > 0.5 * (own | true).sum())
    return count


@pytest.mark.parametrize(
    ("method", "options", "least"),
    [
        ("otsu", {}, 0.99),
        ("multi_otsu", {"keep_classes": 2}, 0.99),
        ("local", {"sigma_nm": 60.0, "floor": 0.8}, 0.94),
        ("spinetool", {}, 0.85),
        ("hk_means", {"classes": 2, "max_volume_nm3": 1e12}, 0.99),
        ("senpai", {}, 0.99),
        ("smrg", {}, 0.99),
        ("geodesic", {}, 0.99),
    ],
)
def test_a_mask_method_finds_the_dendrite(
    method: str, options: dict[str, Any], least: float
) -> None:
    pair = planted()
    result = segment(pair.image, method, **options)
    assert set(result.roles.values()) <= {"background", "dendrite", "object"}
    assert dice(result.labels > 0, pair.mask.data) > least


def test_closing_fills_a_hollow_membrane() -> None:
    pair = planted("counts")
    hollow = segment(pair.image, "otsu").labels > 0
    whole = segment(pair.image, "otsu", sigma_nm=30.0, close_nm=200.0).labels > 0
    assert dice(whole, pair.mask.data) > 0.8 > dice(hollow, pair.mask.data)


def test_senpai_chooses_the_number_of_classes_of_a_blurred_image() -> None:
    # Its rule looks for classes that curve upwards: the rims that a microscope blurs.
    shape = dendrite(3500, ["mushroom", "thin", "mushroom"], seed=5, voxel_nm=40.0)
    pair = simulated_pair(5, mode="filled", shape=shape, voxel_nm=60.0, psf_nm=60.0)
    result = segment(pair.image, "senpai", classes=None, replicates=1)
    assert dice(result.labels > 0, pair.mask.data) > 0.93


@pytest.mark.parametrize(
    ("method", "least"), [("opening", 0.95), ("branches", 0.8), ("leaf", 0.8), ("ellipse", 0.95)]
)
def test_a_parts_method_separates_the_planted_spines(method: str, least: float) -> None:
    pair = planted()
    result = segment(pair.mask, method)
    truth = pair.labels.data
    assert result.roles[1] == "shaft"
    assert set(result.roles.values()) == {"background", "shaft", "spine"}
    assert ((result.labels > 0) == (truth > 0)).all()
    assert dice(result.labels > 1, truth > 1) > least
    assert found_spines(result.labels, truth) == 3


def test_spot_spine_finds_the_heads_when_the_shaft_is_given() -> None:
    pair = planted()
    truth = pair.labels.data
    result = segment(
        pair.image, "spot_spine", dendrite=truth == 1, min_distance_nm=150.0, sigma_nm=80.0
    )
    assert found_spines(result.labels, truth) >= 2
    # With necks every spine touches the shaft.
    shaft = ndimage.binary_dilation(result.labels == 1, np.ones((3, 3, 3)))
    for label, role in result.roles.items():
        if role == "spine":
            assert (shaft & (result.labels == label)).any()


def test_spot_spine_grows_every_bright_neighbour_when_classical() -> None:
    data = np.zeros((15, 15, 40))
    data[7, 7, 30] = 100.0
    data = ndimage.gaussian_filter(data, 2.0) * 100
    shaft = np.zeros(data.shape, dtype=bool)
    shaft[:, :, :10] = True
    grid = VoxelGrid(data, 50.0, (0, 0, 0))
    options: dict[str, Any] = {"dendrite": shaft, "sigma_nm": 0.0, "necks": False}
    classical = segment(grid, "spot_spine", growth="classical", width=1.5, **options).labels
    block = segment(grid, "spot_spine", growth="block", width=1.5, **options).labels
    # A Gaussian of 2 voxels falls to exp(-1.5^2 / 2) at 3 voxels: the head is a ball of radius 3.
    ball = ndimage.distance_transform_edt(_all_but(data.shape, (7, 7, 30))) <= 3.01
    assert dice(classical == 2, ball) > 0.95
    assert ((block == 2) <= (classical == 2)).all()
    assert dice(block == 2, ball) > 0.9


def _all_but(shape: tuple[int, ...], place: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    result = np.ones(shape, dtype=bool)
    result[place] = False
    return result


def test_hk_means_separates_touching_objects_of_different_brightness() -> None:
    data = np.zeros((20, 20, 40))
    data[5:15, 5:15, 5:15] = 50.0
    data[5:15, 5:15, 15:25] = 20.0
    data[5:15, 5:15, 25:35] = 50.0
    grid = VoxelGrid(data, 50.0, (0, 0, 0))
    size = 1000 * 50.0**3
    both = segment(grid, "hk_means", classes=3, max_volume_nm3=1.5 * size)
    assert both.roles == {0: "background", 1: "object", 2: "object"}
    assert np.bincount(both.labels.ravel())[1:].tolist() == [1000, 1000]
    one = segment(grid, "hk_means", classes=3, max_volume_nm3=10 * size)
    assert np.bincount(one.labels.ravel())[1:].tolist() == [3000]


def test_hk_means_thresholds_are_those_of_a_plain_loop() -> None:
    image = np.random.default_rng(3).gamma(2.0, 40.0, (12, 13, 14))
    k = 5
    low, high = image.min(), image.max()
    histogram = [0] * 255
    for value in image.ravel():
        histogram[int((value - low) * (254 / (high - low)))] += 1
    centres = [int(254 * (i + 1) / (k + 1)) for i in range(k)]
    while True:
        kind = [min(range(k), key=lambda c: abs(b - centres[c])) for b in range(255)]
        new = []
        for c in range(k):
            weight = sum(histogram[b] for b in range(255) if kind[b] == c)
            total = sum(histogram[b] * b for b in range(255) if kind[b] == c)
            new.append(int(total / weight) if weight else 0)
        if new == centres:
            break
        centres = new
    ordered = sorted(centres)
    expected = [low + (a + b) / 2 * (high - low) / 254 for a, b in pairwise(ordered)]
    np.testing.assert_allclose(thresholds(image, k), expected)


def test_parcels_follow_the_seeds_and_branches() -> None:
    data = np.zeros((20, 20, 60))
    data[6:14, 6:14, 4:26] = 10.0
    data[6:14, 6:14, 34:56] = 10.0
    data[9:11, 9:11, 26:34] = 4.0
    grid = VoxelGrid(data, 100.0, (0, 0, 0))
    mask = data > 0
    seeds = [[1000.0, 1000.0, 1000.0], [4500.0, 1000.0, 1000.0]]
    result = parcellate(grid, mask, seeds)
    assert (result.labels[6:14, 6:14, 4:26] == 1).all()
    assert (result.labels[6:14, 6:14, 34:56] == 2).all()
    again = parcellate(grid, mask)
    assert set(again.roles) == {0, 1, 2}
    assert (again.labels[mask] > 0).all()
    with pytest.raises(GeometryError, match="seed 1 lies outside"):
        parcellate(grid, mask, [[0.0, 0.0, 0.0]])


def test_loose_heads_are_joined_and_noise_is_not() -> None:
    data = np.zeros((24, 40, 60))
    data[8:16, 4:14, :] = 100.0  # shaft
    data[9:15, 24:30, 20:26] = 100.0  # head
    data[11:13, 14:24, 22:24] = 30.0  # neck, below the threshold
    data[9:15, 30:36, 50:56] = 100.0  # a bright thing with nothing between it and the shaft
    data = ndimage.gaussian_filter(data, 0.7)
    grid = VoxelGrid(data, 50.0, (0, 0, 0))
    mask = data > 50
    result = segment(grid, "geodesic", mask=mask, sigma_nm=0.0, max_cost=0.85).labels
    assert result[12, 27, 23] == 1
    assert result[12, 18, 23] == 1
    assert result[12, 33, 53] == 0
    labels, _ = ndimage.label(result, np.ones((3, 3, 3)))
    assert labels.max() == 1


@pytest.mark.parametrize("method", [info.name for info in segmenters() if info.name != "unet"])
def test_every_segmenter_takes_empty_and_constant_grids_without_nonsense(method: str) -> None:
    for data in (np.zeros((12, 14, 16)), np.full((12, 14, 16), 7.0)):
        grid = VoxelGrid(data, 50.0, (0, 0, 0))
        result = None
        with suppress(GeometryError):
            result = segment(grid, method)
        if result is None:
            continue
        assert result.labels.shape == data.shape
        assert np.isin(np.unique(result.labels), list(result.roles)).all()


@pytest.mark.parametrize("method", ["opening", "branches", "senpai", "geodesic", "smrg"])
def test_the_same_grid_gives_the_same_labels(method: str) -> None:
    pair = planted()
    first, second = segment(pair.image, method), segment(pair.image, method)
    assert (first.labels == second.labels).all()
    assert first.roles == second.roles


def test_moving_the_grid_moves_the_centroids_and_nothing_else() -> None:
    pair = planted()
    here = segment(pair.mask, "opening")
    moved = VoxelGrid(
        pair.mask.data, pair.mask.voxel_nm, pair.mask.origin_nm + np.array([1e6, -2e5, 7])
    )
    there = segment(moved, "opening")
    assert (here.labels == there.labels).all()
    shift = there.table[["x_nm", "y_nm", "z_nm"]] - here.table[["x_nm", "y_nm", "z_nm"]]
    np.testing.assert_allclose(shift.to_numpy(), [[7.0, -2e5, 1e6]] * len(shift), atol=1e-6)


def test_opening_works_on_unequal_voxels() -> None:
    pair = planted()
    thin = VoxelGrid(pair.mask.data[::2], pair.mask.voxel_nm * [2, 1, 1], pair.mask.origin_nm)
    result = segment(thin, "opening")
    assert found_spines(result.labels, pair.labels.data[::2]) == 3


def test_labels_keep_their_place_and_say_what_is_beyond_the_grid() -> None:
    data = np.zeros((2, 3, 4), dtype=np.uint8)
    data[1, 2, 3] = 2
    labels = LabelGrid(data, (100.0, 50.0, 20.0), (1e8, -5.0, 0.0), {0: "background", 2: "spine"})
    assert labels.of_role("spine").tolist() == [2]
    xyz = [[60.0, 95.0, 1e8 + 100], [0.0, -5.0, 1e8], [-10.1, -5.0, 1e8], [0, 0, 0]]
    assert labels.values_at(xyz).tolist() == [2, 0, -1, -1]
    for wrong in (data.astype(float), data.astype(np.int64) - 1):
        with pytest.raises(GeometryError, match="whole numbers of 0 or more"):
            LabelGrid(wrong, (1.0, 1.0, 1.0), (0, 0, 0))


def test_the_table_says_volume_and_role() -> None:
    pair = planted()
    table = segment(pair.mask, "opening").table
    assert table["role"].tolist() == ["shaft", "spine", "spine", "spine"]
    assert table["volume_nm3"].sum() == pytest.approx(pair.mask.data.sum() * 60.0**3)


def test_callables_and_registered_segmenters_are_taken() -> None:
    grid = VoxelGrid(np.arange(27.0).reshape(3, 3, 3), 10.0, (0, 0, 0))
    assert segment(grid, lambda g: (g.data > 20).astype(int)).roles == {
        0: "background",
        1: "object",
    }
    register_segmenter("mine", lambda g, *, above=1.0: foreground(g.data > above), gives="mask")
    assert segment(grid, "mine", above=25.0).labels.sum() == 1
    assert "mine" in [info.name for info in segmenters()]

    def plain(grid: VoxelGrid, above: float = 1.0) -> Any:
        return (grid.data > above).astype(int)

    register_segmenter("plain", plain)  # without a star, as people write functions
    assert segment(grid, "plain", above=25.0).labels.sum() == 1
    with pytest.raises(ConfigError, match="no option grid"):
        run_segmenter(grid, "plain", {"grid": 1})
    with pytest.raises(ConfigError, match="built in"):
        register_segmenter("otsu", lambda g: foreground(g.data > 0))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda g: segment(g, "nothing"), ConfigError, "methods: otsu"),
        (lambda g: segment(g, "otsu", sigma=3), ConfigError, "has no option sigma; its options"),
        (lambda g: segment(g, "otsu", sigma_nm=-1.0), ConfigError, "sigma_nm of 0 or more"),
        (lambda g: segment(g, "otsu", close_nm=-1.0), ConfigError, "close_nm of 0 or more"),
        (lambda g: segment(g, "otsu", scale="odd"), ConfigError, "scale of nonzero"),
        (lambda g: segment(g, "otsu", fill="odd"), ConfigError, "fill of none"),
        (lambda g: segment(g, "multi_otsu", classes=9), ConfigError, "classes of 2 to 5"),
        (lambda g: segment(g, "hk_means", classes=1), ConfigError, "classes of 2 to 255"),
        (lambda g: segment(g, "hk_means", connectivity=4), ConfigError, "connectivity of 6"),
        (lambda g: segment(g, "spot_spine", growth="odd"), ConfigError, "growth of block"),
        (lambda g: segment(g, lambda x: x.data[1:]), GeometryError, "labels of shape"),
        (lambda g: segment(g, lambda x: "no"), GeometryError, "found str"),
        (lambda g: segment(g, lambda x: x.data - 5), GeometryError, "0 or more"),
        (lambda g: segment(g.with_data(g.data * np.nan)), GeometryError, "not finite"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(call: Any, error: type, words: str) -> None:
    grid = VoxelGrid(np.arange(125.0).reshape(5, 5, 5) % 7, 10.0, (0, 0, 0))
    with pytest.raises(error, match=words):
        call(grid)


def test_few_distinct_counts_are_refused_by_multi_otsu() -> None:
    data = np.zeros((8, 8, 8))
    data[2:5] = 1
    data[5:] = 2
    with pytest.raises(GeometryError, match="distinct values"):
        segment(VoxelGrid(data, 50.0, (0, 0, 0)), "multi_otsu")


def test_every_segmenter_names_its_source_and_loads() -> None:
    for info in segmenters():
        if info.module:
            assert info.source
            assert info.differs
            assert info.gives in ("mask", "parts", "objects")
            assert isinstance(info.options(), dict)


def test_a_segmentation_names_every_label() -> None:
    labels = np.zeros((3, 3, 3), dtype=np.int32)
    labels[0, 0, 0] = 5
    grid = VoxelGrid(labels, 10.0, (0, 0, 0))
    result = segment(grid, lambda g: Segmentation(labels, {0: "background"}))
    assert result.roles == {0: "background", 5: "object"}
