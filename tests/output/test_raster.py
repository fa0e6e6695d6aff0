"""The picture maker against geometry that is known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.output.raster import Camera, draw_mesh


def _draw(mesh, colours, width=200):
    camera = Camera.around(np.asarray(mesh.bounds), np.eye(3), width)
    image = draw_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), colours, camera)
    return image, camera


def test_a_ball_is_a_disc_of_its_size():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=500)
    image, camera = _draw(ball, np.ones((len(ball.vertices), 3)) * [0.2, 0.4, 0.8])
    drawn = (image < 0.99).any(axis=2)
    area = drawn.sum() * camera.nm_per_pixel**2
    assert area == pytest.approx(np.pi * 500**2, rel=0.03)
    blue = image[drawn]
    assert (blue[:, 2] >= blue[:, 0] - 1e-6).mean() > 0.99


def test_the_nearer_surface_hides_the_farther():
    near = trimesh.creation.box(extents=(100, 100, 10))
    near.apply_translation((0, 0, 300))
    far = trimesh.creation.box(extents=(400, 400, 10))
    both = trimesh.util.concatenate([far, near])
    red, green = [0.9, 0.1, 0.1], [0.1, 0.9, 0.1]
    colours = np.array([green] * len(far.vertices) + [red] * len(near.vertices))
    image, camera = _draw(both, colours)
    row, column = image.shape[0] // 2, camera.width // 2
    assert image[row, column, 0] > image[row, column, 1]
    beside = image[row, column + round(150 / camera.nm_per_pixel)]
    assert beside[1] > beside[0]


def test_projection_goes_where_it_says():
    camera = Camera(np.eye(3), np.array([10.0, 20.0, 30.0]), 2.0, 100, 60)
    np.testing.assert_allclose(camera.project(np.array([[10.0, 20.0, 30.0]])), [[50, 30, 0]])
    np.testing.assert_allclose(camera.project(np.array([[20.0, 26.0, 31.0]])), [[55, 27, 1]])


def test_an_empty_view_is_background():
    ball = trimesh.creation.icosphere(radius=10)
    camera = Camera(np.eye(3), np.array([1e5, 0.0, 0.0]), 1.0, 40, 40)
    image = draw_mesh(np.asarray(ball.vertices), np.asarray(ball.faces),
                      np.ones((len(ball.vertices), 3)), camera)  # fmt: skip
    assert (image == 1).all()
