"""Registration finds planted transforms by beads and by the data, and tells its own error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError, SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.core.region import Box, Mask, MeshRegion, Polygon, Prism
from nanospine.points.registration import Registration, register

FloatArray = npt.NDArray[np.float64]


def turn(degrees: float, dimension: int) -> FloatArray:
    angle = np.radians(degrees)
    matrix = np.eye(dimension)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    if dimension == 3:
        tilt = np.eye(3)
        tilt[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix = tilt @ matrix
    return matrix


def planted(model: str, dimension: int) -> tuple[FloatArray, FloatArray]:
    matrix = np.eye(dimension)
    if model != "translation":
        matrix = turn(1.5, dimension)
    if model == "affine":
        stretch = np.eye(dimension)
        stretch[0, 0], stretch[0, 1] = 1.01, 0.004
        matrix = matrix @ stretch
    return matrix, np.array([150.0, -90.0, 60.0])[:dimension]


def bead_pairs(
    model: str, dimension: int, n: int, noise: float, outliers: float, seed: int
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    matrix, offset = planted(model, dimension)
    moving = rng.uniform(0, 20_000, (n, dimension))
    if dimension == 3:
        moving[:, 2] = rng.uniform(0, 800, n)
    fixed = moving @ matrix.T + offset + rng.normal(0, noise, (n, dimension))
    wrong = np.zeros(n, dtype=bool)
    wrong[rng.choice(n, round(outliers * n), replace=False)] = True
    fixed[wrong] += rng.uniform(300, 3000, (wrong.sum(), dimension))
    return moving, fixed, ~wrong


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("model", ["translation", "rigid", "affine"])
def test_beads_with_a_fifth_outliers_give_the_planted_transform(model: str, dimension: int) -> None:
    matrix, offset = planted(model, dimension)
    probes = np.random.default_rng(9).uniform(0, 20_000, (200, dimension))
    if dimension == 3:
        probes[:, 2] *= 0.04
    for seed in range(4):
        moving, fixed, good = bead_pairs(model, dimension, 30, 5.0, 0.2, seed)
        found = register(beads=(moving, fixed), model=model, seed=seed)
        assert found.used is not None
        # an honest pair in the tail of its noise may be left out, a wrong one never gets in
        assert not (found.used & ~good).any()
        assert found.n_pairs >= 21
        gap = found.transform_nm(probes) - (probes @ matrix.T + offset)
        assert np.sqrt((gap**2).mean(axis=0)).max() < 6
        assert found.n_rejected >= 6


@pytest.mark.parametrize("model", ["translation", "rigid", "affine"])
def test_the_target_error_is_the_error_of_new_beads(model: str) -> None:
    told, happened = [], []
    for seed in range(40):
        moving, fixed, _ = bead_pairs(model, 2, 13, 8.0, 0.0, seed)
        found = register(beads=(moving[:12], fixed[:12]), model=model, max_distance_nm=1e6)
        told.append(found.target_error_nm**2)
        happened.append((found.transform_nm(moving[12:]) - fixed[12:])[0] ** 2)
    ratio = np.sqrt(np.mean(told, axis=0) / np.mean(happened, axis=0))
    assert (np.abs(np.log(ratio)) < 0.45).all()


@settings(max_examples=40)
@given(
    st.integers(2, 3),
    st.sampled_from(["translation", "rigid", "affine"]),
    st.floats(-180, 180),
    st.integers(0, 1000),
)
def test_exact_beads_give_the_exact_transform(
    dimension: int, model: str, degrees: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    moving = rng.uniform(-5000, 5000, (8, dimension))
    matrix = np.eye(dimension) if model == "translation" else turn(degrees, dimension)
    if model == "affine":
        matrix = matrix @ (np.eye(dimension) + rng.uniform(-0.1, 0.1, (dimension, dimension)))
    offset = rng.uniform(-500, 500, dimension)
    found = register(beads=(moving, moving @ matrix.T + offset), model=model)
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-8)
    np.testing.assert_allclose(found.offset_nm, offset, atol=1e-5)
    back = found.inverse().transform_nm(found.transform_nm(moving))
    np.testing.assert_allclose(back, moving, atol=1e-6)


def test_leave_one_out_equals_refitting() -> None:
    moving, fixed, _ = bead_pairs("affine", 2, 9, 10.0, 0.0, 3)
    found = register(beads=(moving, fixed), model="affine", max_distance_nm=1e6)
    gaps = []
    for i in range(9):
        rest = np.arange(9) != i
        design = np.column_stack([moving[rest], np.ones(8)])
        solved, *_ = np.linalg.lstsq(design, fixed[rest], rcond=None)
        gaps.append(np.array([*moving[i], 1.0]) @ solved - fixed[i])
    np.testing.assert_allclose(found.target_error_nm, np.sqrt(np.mean(np.square(gaps), axis=0)))


def test_unpaired_beads_find_their_partners() -> None:
    rng = np.random.default_rng(2)
    moving, fixed, _ = bead_pairs("rigid", 2, 40, 3.0, 0.0, 2)
    # mixed order, and each channel lacks some of the other
    shuffled = fixed[rng.permutation(40)][:35]
    found = register(beads=(moving[4:], shuffled), paired=False, model="rigid", max_shift_nm=1500)
    probes = rng.uniform(0, 20_000, (50, 2))
    matrix, offset = planted("rigid", 2)
    assert np.abs(found.transform_nm(probes) - (probes @ matrix.T + offset)).max() < 6


def test_mirrored_beads_are_refused_unless_asked() -> None:
    moving, _, _ = bead_pairs("rigid", 2, 12, 0.0, 0.0, 1)
    mirrored = moving * [-1, 1] + 5
    for model in ("rigid", "affine"):
        with pytest.raises(GeometryError, match="mirror image"):
            register(beads=(moving, mirrored), model=model)
        found = register(beads=(moving, mirrored), model=model, allow_reflection=True)
        np.testing.assert_allclose(found.matrix, [[-1, 0], [0, 1]], atol=1e-9)


def test_flat_beads_in_space_are_no_mirror_image() -> None:
    rng = np.random.default_rng(4)
    moving = np.column_stack([rng.uniform(0, 9000, (10, 2)), np.zeros(10)])
    matrix = turn(2.0, 3)
    found = register(beads=(moving, moving @ matrix.T), model="rigid")
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-9)
    with pytest.raises(GeometryError, match="coplanar"):
        register(beads=(moving, moving @ matrix.T), model="affine")


def test_too_few_and_collinear_beads_are_refused() -> None:
    line = np.column_stack([np.arange(6) * 1000.0, np.arange(6) * 500.0])
    with pytest.raises(TooFewPointsError, match="at least 3 pairs of beads, found 2"):
        register(beads=(line[:2], line[:2]), model="affine")
    with pytest.raises(GeometryError, match="collinear"):
        register(beads=(line, line), model="affine")
    with pytest.raises(GeometryError, match="coincide"):
        register(beads=(np.zeros((5, 2)), np.zeros((5, 2))), model="rigid")
    assert register(beads=(line, line + 3), model="rigid").offset_nm.round(6).tolist() == [3, 3]
    assert np.isnan(register(beads=(line[:1], line[:1])).target_error_nm).all()
    rng = np.random.default_rng(0)
    with pytest.raises(GeometryError, match="agree on one"):
        register(beads=(line, rng.uniform(0, 5000, (6, 2))), model="rigid", max_distance_nm=1)
    with pytest.raises(SchemaError, match="paired=False"):
        register(beads=(line, line[:5]))
    with pytest.raises(SchemaError, match="shape"):
        register(beads=(line, np.zeros((6, 3))))
    with pytest.raises(SchemaError, match="finite"):
        register(beads=(line, line * np.nan))


def two_channels(
    dimension: int, model: str, seed: int, *, unrelated: bool = False
) -> tuple[Localizations, Localizations, FloatArray, FloatArray]:
    """Filaments whose molecules blink in both channels, seen with different ones missing."""
    rng = np.random.default_rng(seed)
    matrix, offset = np.eye(dimension), np.array([120.0, -80.0, 60.0])[:dimension]
    if model != "translation":
        angle = np.radians(0.4)
        matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    if model == "affine":
        matrix[0, 0] *= 1.003

    def molecules() -> FloatArray:
        parts = []
        for _ in range(25):
            along = rng.normal(size=dimension)
            along /= np.linalg.norm(along)
            if dimension == 3:
                along[2] *= 0.2
            centre = rng.uniform(0, 5000, dimension)
            if dimension == 3:
                centre[2] = rng.uniform(0, 600)
            parts.append(centre + along * rng.uniform(-1500, 1500, (50, 1)))
        return np.concatenate(parts) + rng.normal(0, 10, (1250, dimension))

    def seen(where: FloatArray) -> FloatArray:
        some = where[rng.random(len(where)) < 0.7]
        many = np.repeat(some, rng.poisson(2, len(some)), axis=0)
        return many + rng.normal(0, 12, many.shape)

    structure = molecules()
    fixed = seen(structure)
    moving = (seen(molecules() if unrelated else structure) - offset) @ np.linalg.inv(matrix).T
    return ns.from_arrays(moving), ns.from_arrays(fixed), matrix, offset


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("model", ["translation", "rigid", "affine"])
def test_data_alone_give_the_planted_transform_and_its_error(model: str, dimension: int) -> None:
    told, happened = [], []
    for seed in range(3):
        moving, fixed, matrix, offset = two_channels(dimension, model, seed)
        found = register(moving, fixed, model=model, bootstrap=20)
        points = moving.xyz_nm[:, :dimension]
        gap = found.transform_nm(points) - (points @ matrix.T + offset)
        happened.append((gap**2).mean(axis=0))
        told.append(found.target_error_nm**2)
        assert not any("doubtful" in note for note in found.notes)
    assert np.sqrt(np.mean(happened)) < 3
    assert 0.4 < np.sqrt(np.mean(told) / np.mean(happened)) < 2.5


def test_channels_of_different_structure_are_doubted() -> None:
    for seed in (0, 1):
        moving, fixed, _, _ = two_channels(2, "translation", seed, unrelated=True)
        found = register(moving, fixed, bootstrap=0)
        assert any("doubtful" in note for note in found.notes)
        assert np.isnan(found.target_error_nm).all()
    far = ns.from_arrays(fixed.xyz_nm[:, :2] + 50_000)
    with pytest.raises(GeometryError, match="mutual neighbour"):
        register(moving, far)


def test_halves_of_real_minflux_data_come_together(shared_data: Path) -> None:
    locs = ns.read(shared_data / "localizations/pyminflux/2D_ValidOnly.npy.zip")
    points = locs.xyz_nm[:, :2] - locs.xyz_nm[:, :2].mean(axis=0)
    half = np.random.default_rng(0).random(len(points)) < 0.5
    matrix = turn(0.3, 2)
    moving = (points[half] - [90, -60]) @ matrix
    found = register(ns.from_arrays(moving), ns.from_arrays(points[~half]), model="rigid")
    gap = found.transform_nm(moving) - points[half]
    assert np.sqrt((gap**2).mean(axis=0)).max() < 0.5
    assert found.target_error_nm.max() < 0.5


def test_one_real_bead_gives_the_shift_and_no_more(shared_data: Path) -> None:
    folder = shared_data / "localizations/locan/transform"
    red, green = (
        ns.read(folder / f"rapidSTORM_beads_{colour}.asdf", units="nm")
        for colour in ("red", "green")
    )
    found = register(beads=(red, green))
    expected = np.median(green.xyz_nm - red.xyz_nm, axis=0)[:2]
    np.testing.assert_allclose(found.offset_nm, expected, atol=1)
    turned = register(beads=(red, green), model="rigid")
    assert any("guess" in note for note in turned.notes)


def test_options_that_make_no_sense_are_refused() -> None:
    locs = ns.from_arrays(np.zeros((5, 2)))
    with pytest.raises(ConfigError, match="model"):
        register(locs, locs, model="elastic")
    with pytest.raises(ConfigError, match="max_shift_nm"):
        register(locs, locs, max_shift_nm=0)
    with pytest.raises(ConfigError, match="two tables"):
        register(locs)
    with pytest.raises(TooFewPointsError, match="at least 30"):
        register(locs, locs)


def given_transform(matrix: FloatArray, offset: FloatArray) -> Registration:
    d = len(offset)
    return Registration("affine", matrix, offset, np.ones(d), np.ones(d), "beads", 9, 0)


def test_apply_moves_positions_precisions_and_history() -> None:
    rng = np.random.default_rng(0)
    locs = ns.from_arrays(rng.uniform(0, 100, (20, 3)), precision_nm=(3, 4, 20))
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    found = given_transform(quarter, np.array([10.0, 20.0]))
    moved = found.apply(locs)
    np.testing.assert_allclose(moved.xyz_nm[:, 0], 10 - locs.xyz_nm[:, 1])
    np.testing.assert_allclose(moved.xyz_nm[:, 2], locs.xyz_nm[:, 2])
    assert moved.precision_nm is not None
    np.testing.assert_allclose(moved.precision_nm[0], (4, 3, 20))
    step = moved.history[-1]
    assert step["operation"] == "register"
    assert step["arguments"]["offset_nm"] == [10, 20]
    assert "leaves z" in step["notes"][-1]
    back = found.inverse().apply(moved)
    np.testing.assert_allclose(back.xyz_nm, locs.xyz_nm, atol=1e-9)
    assert moved.region.assumed
    assert moved.region.contains(moved.xyz_nm).all()
    with pytest.raises(GeometryError, match="2-D localizations"):
        given_transform(np.eye(3), np.zeros(3)).apply(ns.from_arrays([[1.0, 2.0]]))
    frame = found.to_frame()
    assert frame["axis"].tolist() == ["x", "y"]
    assert frame["matrix_y"].tolist() == [-1.0, 0.0]


@pytest.mark.parametrize("dimension", [2, 3])
def test_regions_move_with_their_points(dimension: int) -> None:
    import trimesh

    rng = np.random.default_rng(1)
    corners = np.array([(0, 0), (900, 0), (1000, 700), (0, 600)], dtype=np.float64)
    mask = np.ones((4,) * dimension, dtype=bool)
    mask[0] = False
    flat = [Box((0, 0), (1000, 500)), Polygon(corners)]
    deep = [
        Box((0, 0, 0), (1000, 500, 300)),
        Prism(Polygon(corners), 0, 300),
        MeshRegion(trimesh.creation.box(extents=(900, 800, 400))),
    ]
    points = rng.uniform(-200, 1200, (500, dimension))
    transforms = [(np.eye(dimension), 100.0), (turn(30, dimension), -50.0)]
    if dimension == 3:
        upright = np.eye(3)
        upright[:2, :2] = turn(30, 2)
        transforms.append((upright, 20.0))
    for region in [*(flat if dimension == 2 else deep), Mask(mask, 250.0, np.zeros(dimension))]:
        for matrix, shift in transforms:
            found = given_transform(matrix, np.full(dimension, shift))
            locs = ns.from_arrays(points, region=region)
            moved = found.apply(locs)
            if moved.region.assumed:
                assert isinstance(region, Mask | Prism)
                assert "cannot be turned" in moved.history[-1]["notes"][-1]
                continue
            np.testing.assert_array_equal(
                region.contains(locs.xyz_nm[:, :dimension]),
                moved.region.contains(moved.xyz_nm[:, :dimension]),
            )
            assert moved.region.size == pytest.approx(region.size)
