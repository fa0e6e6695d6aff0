"""The pieces that segmenters are made of, against planted shapes and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.core.errors import TooFewPointsError
from nanospine.voxels.segmenters.common import closed, components, distance_nm, protrusions
from nanospine.voxels.segmenters.ellipse import _fitted, _frames
from nanospine.voxels.segmenters.skeleton import (
    assign_voxels,
    backbone,
    path_between,
    side_trees,
    skeleton_tree,
)
from nanospine.voxels.segmenters.smrg import mixture_threshold
from nanospine.voxels.segmenters.spot_spine import _maxima

CUBE = np.full(3, 50.0)


def tee() -> np.ndarray:
    """A bar along x of 60 voxels with a thinner branch of 20 voxels along y."""
    mask = np.zeros((21, 50, 80), dtype=bool)
    mask[6:15, 6:15, 10:70] = True
    mask[9:12, 15:35, 38:41] = True
    return mask


def test_backbone_and_side_tree_of_a_planted_tee() -> None:
    tree = skeleton_tree(tee(), CUBE)
    path = tree.nodes[backbone(tree)]
    assert np.ptp(path[:, 2]) > 45  # along the bar
    assert path[:, 1].max() < 15  # and not into the branch
    sides = side_trees(tree, backbone(tree))
    root, nodes, length, tip = max(sides, key=lambda item: item[2])
    assert tree.nodes[root][2] == pytest.approx(39, abs=3)
    assert tree.nodes[tip][1] == pytest.approx(34, abs=2)
    # From the axis of the bar, y = 10, to the tip, y = 34, in voxels of 50 nm.
    assert length == pytest.approx(24 * 50, rel=0.1)
    way = path_between(tree, root, tip)
    assert way[0] == root
    assert way[-1] == tip
    assert set(way[1:]) <= set(nodes)


def test_the_skeleton_is_a_tree_also_around_a_ring() -> None:
    at = np.indices((9, 60, 60)).transpose(1, 2, 3, 0) - [4, 30, 30]
    ring = np.abs(np.hypot(at[..., 1], at[..., 2]) - 20) < 4
    ring &= np.abs(at[..., 0]) < 4
    tree = skeleton_tree(ring, CUBE)
    assert tree.edges.nnz == 2 * (len(tree.nodes) - 1)
    with pytest.raises(TooFewPointsError, match="empty"):
        skeleton_tree(np.zeros((3, 3, 3), dtype=bool), CUBE)


def test_voxels_of_the_tee_go_to_bar_and_branch() -> None:
    mask = tee()
    tree = skeleton_tree(mask, CUBE)
    main = backbone(tree)
    sides = sorted(side_trees(tree, main), key=lambda item: -item[2])
    spines = assign_voxels(mask, CUBE, tree, main, [sides[0][1]])
    truth = np.zeros(mask.shape, dtype=bool)
    truth[9:12, 15:35, 38:41] = True
    # The skeleton bends towards a branch, so that up to 150 nm of its root go to the bar.
    assert (spines[:, 18:] == truth[:, 18:]).all()
    assert not ((spines == 1) & ~truth).any()


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(20, 120), st.tuples(*[st.integers(30, 90)] * 3))
def test_closing_is_that_of_balls(seed: int, whole: int, voxel: tuple[int, ...]) -> None:
    radius = whole + 0.37  # so that no distance is equal to it
    mask = np.random.default_rng(seed).random((5, 5, 5)) < 0.25
    mask[[0, -1]] = mask[:, [0, -1]] = mask[:, :, [0, -1]] = False
    mask[2, 2, 2] = True
    size = np.array(voxel)
    inside = np.argwhere(mask) * size
    # A voxel stays out when a ball around some place holds it but nothing of the mask.
    reach = np.ceil(radius / size).astype(int) + 1
    wide = np.argwhere(np.ones(5 + 2 * reach, dtype=bool)) - reach
    places = wide * size
    gap = np.linalg.norm(places[:, None] - inside[None], axis=2).min(axis=1)
    empty = places[gap > radius]
    expected = np.ones(mask.shape, dtype=bool)
    for index in np.ndindex(*mask.shape):
        near = np.linalg.norm(empty - np.array(index) * size, axis=1).min() <= radius
        expected[index] = mask[index] or not near
    assert (closed(mask, size, radius) == expected).all()


def test_components_are_numbered_from_large_to_small() -> None:
    mask = np.zeros((3, 3, 20), dtype=bool)
    mask[1, 1, 0:2] = mask[1, 1, 4:9] = mask[1, 1, 12:15] = True
    found = components(mask)
    assert [int(found[1, 1, x]) for x in (0, 4, 12)] == [3, 1, 2]


def test_depth_does_not_end_at_the_edge_of_the_grid() -> None:
    mask = np.zeros((9, 9, 30), dtype=bool)
    mask[2:7, 2:7] = True
    depth = distance_nm(mask, CUBE)
    assert (depth[4, 4] == 150.0).all()
    assert np.isfinite(distance_nm(np.ones((2, 2, 2), dtype=bool), CUBE)).all()


def test_protrusions_must_be_high_and_large_enough() -> None:
    mask = np.zeros((20, 40, 60), dtype=bool)
    mask[5:15, 5:15] = True
    shaft = mask.copy()
    mask[8:12, 15:25, 10:14] = True  # 500 nm high
    mask[8:12, 15:18, 30:34] = True  # 150 nm high
    mask[10:11, 15:25, 50:51] = True  # thin
    spines, dropped = protrusions(
        mask, shaft, CUBE, min_height_nm=200, min_volume_nm3=2e6, shell_nm=60
    )
    assert (spines[8:12, 15:25, 10:14] == 1).all()
    assert (spines > 0).sum() == 160
    assert dropped == 2


@pytest.mark.parametrize("turn", [0.0, 0.4, 1.2])
def test_the_ellipse_of_a_shaft_is_found_beside_a_spine(turn: float) -> None:
    z, y, x = np.indices((40, 60, 60)) * 40.0
    y, z = y - 1200, z - 800
    a, b = np.cos(turn) * y + np.sin(turn) * z, -np.sin(turn) * y + np.cos(turn) * z
    mask = (a / 480) ** 2 + (b / 320) ** 2 < 1
    mask |= (np.hypot(z, x - 1200) < 120) & (y > 0) & (y < 1100)
    axis, first, second = _frames(mask, np.full(3, 40.0), 100.0, 300.0)
    _, radius = _fitted(mask, np.full(3, 40.0), axis, first, second, 1.3)
    # Where the spine stands a single cross-section may be a tenth too wide; the median is not.
    near = slice(len(axis) // 2 - 5, len(axis) // 2 + 6)
    assert np.median(radius[near], axis=0).max() == pytest.approx(480, rel=0.05)
    assert np.median(radius[near], axis=0).min() == pytest.approx(320, rel=0.05)
    assert radius[near].max() < 1.15 * 480


def test_maxima_are_those_of_a_plain_search() -> None:
    image = np.random.default_rng(4).random((7, 9, 11))
    voxel = np.array([100.0, 50.0, 50.0])
    found = {tuple(item) for item in _maxima(image, voxel, 160.0).tolist()}
    expected = set()
    places = np.argwhere(np.ones(image.shape, dtype=bool))
    for place in places:
        near = places[np.linalg.norm((places - place) * voxel, axis=1) <= 160.0]
        if image[tuple(place)] >= image[tuple(near.T)].max():
            expected.add(tuple(place.tolist()))
    assert found == expected


def test_only_background_has_no_threshold() -> None:
    draw = np.random.default_rng(1)
    assert mixture_threshold(draw.normal(50, 5, 5000).round().astype(int), 0.99) is None
    assert mixture_threshold(np.full(5000, 7), 0.99) is None
