"""Pictures are not blank and show what they should."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from matplotlib.image import imread

import nanospine as ns
from nanospine.core.colours import TYPE_COLOURS, rgb
from nanospine.output.render import neck_profile_figure, overview, picture


def _has_colour(image, colour, tolerance=0.04):
    return (np.abs(image[..., :3] - rgb(colour)).max(axis=2) < tolerance).sum()


def test_overview_shows_both_views_and_the_legend(found, locs, tmp_path):
    path = tmp_path / "overview.png"
    overview(found, locs, path)
    image = imread(path)
    assert image.shape[0] > 400
    assert image.shape[1] > 1000
    assert image[..., :3].std() > 0.05
    for colour in TYPE_COLOURS.values():  # the legend has all of them
        assert _has_colour(image, colour) > 100


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sample_lies_across_the_page_whatever_its_axis(axis):
    tube = trimesh.creation.capsule(height=3000.0, radius=200.0)  # along z
    tube.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], np.eye(3)[axis]))
    figure = picture(ns.find_spines(tube), width=300)
    *pictures, _ = [*figure.axes, None]
    for axes in pictures:
        image = np.asarray(axes.images[0].get_array())
        drawn = np.argwhere(np.abs(image - 1.0).max(axis=2) > 0.1)
        high, wide = np.ptp(drawn, axis=0)
        assert wide >= 0.9 * high  # seen from its end it is round


def test_overview_without_a_shaft_shows_the_points(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=3, radius=300)
    locs = ns.from_arrays(ball.vertices)
    overview(ns.find_spines(ball, locs), locs, tmp_path / "ball.png")
    assert imread(tmp_path / "ball.png")[..., :3].std() > 0.02


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_neck_profile_in_each_format(found, tmp_path, suffix):
    path = tmp_path / f"neck{suffix}"
    neck_profile_figure(found.spines[0], path)
    assert path.stat().st_size > 3000


def test_a_neck_that_was_not_measured_is_drawn_too(shape, tmp_path):
    bare = ns.from_arrays(shape.mesh.vertices)
    spines = ns.find_spines(shape.mesh, bare)
    assert not spines.spines[0].neck.measurable
    neck_profile_figure(spines.spines[0], tmp_path / "none.png")
    assert (tmp_path / "none.png").exists()
