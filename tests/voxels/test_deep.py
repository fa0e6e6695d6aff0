"""The bridge for deep models: resampling, normalising, tiling and mapping back, without a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.deep import ModelSpec, deep_segment, normalised, predict
from nanospine.voxels.deep_adapters import CallableModel
from nanospine.voxels.deep_resample import resampled, restored
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.panoptic import convert_labels, from_classes


def noise(shape: tuple[int, int, int], seed: int = 0) -> VoxelGrid:
    data = np.random.default_rng(seed).normal(size=shape)
    return VoxelGrid(data, (50.0, 40.0, 30.0), (1e6, -20.0, 3.0))


def blurred(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A model with a reach of 3 voxels."""
    kernel = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0])
    for axis in range(2, batch.ndim):
        batch = ndimage.convolve1d(batch, kernel / kernel.sum(), axis=axis, mode="constant")
    return batch


def test_tile_by_tile_equals_the_whole_in_three_dimensions() -> None:
    grid = noise((30, 41, 50))
    whole = predict(CallableModel(blurred, ModelSpec(("a",), tile=(96,) * 3, halo=4)), grid)
    tiled = predict(CallableModel(blurred, ModelSpec(("a",), tile=(16, 20, 24), halo=4)), grid)
    np.testing.assert_allclose(tiled["a"].data, whole["a"].data, atol=1e-6)


@settings(max_examples=15)
@given(
    st.tuples(*[st.integers(1, 40)] * 3),
    st.tuples(*[st.integers(14, 32)] * 2),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(["z", "y", "x"]),
)
def test_tile_by_tile_equals_the_whole_in_planes(
    shape: tuple[int, int, int], tile: tuple[int, int], divisor: int, axis: str
) -> None:
    grid = noise(shape)

    def spec(size: tuple[int, int]) -> ModelSpec:
        return ModelSpec(
            ("a",), dims=2, tile=size, halo=4, divisor=divisor, planes_along=(axis,),
            plane_offsets=(0,),
        )  # fmt: skip

    whole = predict(CallableModel(blurred, spec((80, 80))), grid)["a"].data
    tiled = predict(CallableModel(blurred, spec(tile)), grid)["a"].data
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_a_strided_model_sees_the_same_lattice_in_every_tile() -> None:
    def strided(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        n, c, h, w = batch.shape
        pooled = batch.reshape(n, c, h // 4, 4, w // 4, 4).mean(axis=(3, 5))
        return pooled.repeat(4, axis=2).repeat(4, axis=3)

    grid = noise((3, 64, 64))
    options: dict[str, Any] = {"dims": 2, "divisor": 4, "halo": 4}
    whole = predict(CallableModel(strided, ModelSpec(("a",), tile=(64, 64), **options)), grid)
    tiled = predict(CallableModel(strided, ModelSpec(("a",), tile=(21, 25), **options)), grid)
    np.testing.assert_allclose(tiled["a"].data, whole["a"].data, atol=1e-6)


def test_neighbouring_planes_are_channels_and_zero_beyond() -> None:
    grid = noise((5, 6, 7))
    spec = ModelSpec(("before", "here", "after"), dims=2, plane_offsets=(-1, 0, 2))
    found = predict(CallableModel(lambda batch: batch, spec), grid)
    data = grid.data.astype(np.float32)
    np.testing.assert_array_equal(found["here"].data, data)
    np.testing.assert_array_equal(found["before"].data[1:], data[:-1])
    np.testing.assert_array_equal(found["before"].data[0], 0)
    np.testing.assert_array_equal(found["after"].data[:-2], data[2:])


@pytest.mark.parametrize("how", ["none", "minmax", "minmax_signed", "zscore", "percentile"])
@pytest.mark.parametrize("per_plane", [True, False])
def test_constant_input_is_never_divided_by_zero(how: str, per_plane: bool) -> None:
    for value in (0.0, 7.0, -1e-30, 1e30):
        spec = ModelSpec(normalisation=how, per_plane=per_plane)
        found = normalised(np.full((3, 4, 5), value, np.float32), spec)
        assert np.isfinite(found).all()
        if how != "none":
            assert (found == 0).all()


def test_one_constant_plane_does_not_touch_the_others() -> None:
    data = np.random.default_rng(1).normal(size=(3, 8, 8)).astype(np.float32)
    data[1] = 5.0
    found = normalised(data, ModelSpec(normalisation="minmax_signed", per_plane=True))
    assert (found[1] == 0).all()
    assert found[0].min() == -1
    assert found[2].max() == 1


@settings(max_examples=40)
@example((1, 2, 1), (20.0, 76.875, 20.0), (20.0, 153.625, 20.0))
@given(
    st.tuples(*[st.integers(1, 12)] * 3),
    st.tuples(*[st.floats(20.0, 200.0)] * 3),
    st.tuples(*[st.floats(20.0, 200.0)] * 3),
)
def test_counts_keep_their_sum_and_their_centre_whatever_the_voxels(
    shape: tuple[int, int, int], old: tuple[float, ...], new: tuple[float, ...]
) -> None:
    data = np.random.default_rng(2).poisson(3.0, shape).astype(np.float64)
    data.ravel()[0] += 1
    grid = VoxelGrid(data, np.array(old), np.array([5.0, -7.0, 1e5]))
    other = resampled(grid, new, counts=True)
    assert other.data.sum() == pytest.approx(data.sum(), rel=1e-5)
    low, own = grid.origin_nm - grid.voxel_nm / 2, other.origin_nm - other.voxel_nm / 2
    np.testing.assert_allclose(low, own, atol=1e-6)
    # Within an old voxel counts are even, so that centres agree to the rounding at the last edge.
    extent = np.array(shape) * old
    assert (np.array(other.shape) * other.voxel_nm >= extent * (1 - 2e-3)).all()


def test_intensities_are_not_summed_and_come_back_where_they_were() -> None:
    at = np.linspace(0, np.pi, 60)
    smooth = np.sin(at)[:, None, None] * np.sin(at)[None, :, None] * np.sin(at)[None, None, :]
    grid = VoxelGrid(smooth, (20.0, 20.0, 20.0), (1e7, 3.0, -4.0))
    for size in (37.0, 20.0, 13.0):
        other = resampled(grid, (size,) * 3)
        assert other.data.max() == pytest.approx(1.0, abs=0.01)
        back = restored(other, grid)
        inner = (slice(4, -4),) * 3
        assert np.abs(back - smooth)[inner].max() < 0.01


def test_an_axis_without_a_size_is_kept() -> None:
    grid = noise((5, 20, 20))
    other = resampled(grid, (None, 94.0, 94.0))
    assert other.shape[0] == 5
    assert other.voxel_nm.tolist() == [50.0, 94.0, 94.0]


def test_identity_at_another_voxel_size_gives_every_label_back() -> None:
    data = np.zeros((24, 30, 36), dtype=np.uint8)
    data[4:12, 6:20, 4:30] = 1
    data[12:20, 8:16, 8:20] = 2
    grid = VoxelGrid(data, 50.0, (1e8, 0.5, 2.0))
    spec = ModelSpec(
        ("labels",), kind="labels", classes={1: "shaft", 2: "spine"}, tile=(16,) * 3, halo=2
    )
    found = deep_segment(CallableModel(lambda batch: batch, spec), grid, min_spine_nm3=0.0)
    assert (found.labels == data).all()
    assert found.roles == {0: "background", 1: "shaft", 2: "spine"}


def test_probabilities_become_shaft_and_numbered_spines() -> None:
    data = np.zeros((10, 20, 40), dtype=np.float32)
    data[2:8, 2:8, :] = 0.4
    data[2:8, 8:16, 4:12] = 0.9
    data[2:8, 8:14, 20:28] = 0.9
    grid = VoxelGrid(data, 50.0, (0, 0, 0))

    def two(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.concatenate([np.minimum(batch * 2, 1), batch], axis=1)

    model = CallableModel(two, ModelSpec(tile=(64,) * 3))
    found = deep_segment(model, grid)
    assert found.roles == {0: "background", 1: "shaft", 2: "spine", 3: "spine"}
    assert np.bincount(found.labels.ravel())[1:].tolist() == [1440, 384, 288]
    fewer = deep_segment(model, grid, min_spine_nm3=320 * 50.0**3)
    assert np.bincount(fewer.labels.ravel())[1:].tolist() == [1440 + 288, 384]
    assert any("1 small spines" in note for note in fewer.table.attrs["notes"])


def test_spines_far_from_any_dendrite_are_dropped_on_demand() -> None:
    data = np.zeros((10, 40, 40), dtype=np.float32)
    data[2:8, 2:8, :] = 0.4
    data[2:8, 12:20, 4:12] = 0.9
    data[2:8, 30:38, 20:28] = 0.9
    grid = VoxelGrid(data, 50.0, (0, 0, 0))

    def two(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.concatenate([(batch == np.float32(0.4)).astype(np.float32), batch], axis=1)

    model = CallableModel(two, ModelSpec(tile=(64,) * 3))
    assert deep_segment(model, grid).labels.max() == 3
    near = deep_segment(model, grid, near_nm=300.0)
    assert near.labels.max() == 2
    assert (near.labels[2:8, 30:38, 20:28] == 0).all()
    assert any("1 spines farther" in note for note in near.table.attrs["notes"])


def test_semantic_instance_and_panoptic_go_into_each_other() -> None:
    data = np.zeros((6, 12, 20), dtype=int)
    data[1:5, 1:5, :] = 3
    data[1:5, 5:9, 2:6] = 7
    data[1:5, 5:10, 10:14] = 7
    grid = VoxelGrid(data, 50.0, (0, 0, 0))
    semantic = from_classes(grid, {3: "dendrite", 7: "spine"})
    panoptic = convert_labels(semantic, "panoptic")
    instance = convert_labels(panoptic, "instance")
    assert np.bincount(instance.labels.ravel())[1:].tolist() == [80, 64]
    assert (convert_labels(panoptic, "semantic").labels == semantic.labels).all()
    assert set(panoptic.roles.values()) == {"background", "shaft", "spine"}
    small = convert_labels(panoptic, "panoptic", min_volume_nm3=70 * 50.0**3)
    assert (small.labels[1:5, 5:9, 2:6] == 1).all()


def test_touching_spines_are_divided_at_their_waist_on_demand() -> None:
    at = np.indices((30, 30, 50)).transpose(1, 2, 3, 0)
    two = np.linalg.norm(at - [15, 15, 15], axis=-1) < 10
    two |= np.linalg.norm(at - [15, 15, 32], axis=-1) < 10
    grid = VoxelGrid(2 * two, 50.0, (0, 0, 0))
    labels = from_classes(grid, {2: "spine"})
    assert convert_labels(labels, "instance").labels.max() == 1
    divided = convert_labels(labels, "instance", split_nm=60.0).labels
    assert divided.max() == 2
    assert divided[15, 15, 12] != divided[15, 15, 35]
    assert (divided > 0).sum() == two.sum()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda g: ModelSpec(dims=4), ConfigError, "dims of 2 or 3"),
        (lambda g: ModelSpec(normalisation="odd"), ConfigError, "normalisation of none"),
        (lambda g: ModelSpec(kind="odd"), ConfigError, "kind of probabilities"),
        (lambda g: ModelSpec(tile=(8, 8), halo=4), ConfigError, "larger than two halos"),
        (lambda g: ModelSpec(planes_along=("t",)), ConfigError, "planes_along"),
        (
            lambda g: predict(CallableModel(lambda b: b[..., 1:], ModelSpec(("a",))), g),
            GeometryError,
            "an output of shape",
        ),
        (
            lambda g: predict(CallableModel(lambda b: b * np.nan, ModelSpec(("a",))), g),
            GeometryError,
            "the model gave values that are not finite",
        ),
        (
            lambda g: predict(
                CallableModel(lambda b: b, ModelSpec(("a",))), g.with_data(g.data / 0.0)
            ),
            GeometryError,
            "the grid holds values",
        ),
        (lambda g: from_classes(g, {1: "shaft"}), GeometryError, "which classes does not name"),
        (lambda g: from_classes(g, {1: "axon"}), ConfigError, "roles of"),
        (
            lambda g: convert_labels(from_classes(g.with_data(g.data * 0), {}), "odd"),
            ConfigError,
            "semantic, instance, panoptic",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_cannot_be_is_refused_with_a_reason(call: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        call(VoxelGrid(np.full((4, 5, 6), 2.0), 50.0, (0, 0, 0)))
