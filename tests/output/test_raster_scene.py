"""Layers, balls, light and cameras against geometry that is known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.core.errors import ConfigError
from nanospine.output.raster import Dots, Surface, compose
from nanospine.output.raster_camera import CAMERAS, Camera, across, rotation_of, turned
from nanospine.output.raster_fill import draw_points, draw_triangles, empty_layer, vertex_normals
from nanospine.output.raster_shade import ambient_occlusion

GREY = np.array([[0.6, 0.6, 0.6]], dtype=np.float32)


def _surface(mesh, colour=(0.6, 0.6, 0.6), opacity=1.0):
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64)
    colours = np.tile(colour, (len(vertices), 1))
    return Surface(vertices, faces, colours, vertex_normals(vertices, faces), opacity)


def _flat_camera(width=120, nm_per_pixel=10.0):
    return Camera(np.eye(3), np.zeros(3), nm_per_pixel, width, width)


def test_depth_of_a_plane_is_exact_in_every_pixel():
    a, b, c = 0.3, -0.2, 40.0  # z = a x + b y + c
    corner = np.array([[-900.0, -900], [900, -900], [900, 900], [-900, 900]])
    xyz = np.column_stack([corner, corner @ [a, b] + c])
    camera, faces = _flat_camera(), np.array([[0, 1, 2], [0, 2, 3]])
    layer = empty_layer(camera)
    draw_triangles(layer, camera, xyz, faces, np.zeros((4, 3)), vertex_normals(xyz, faces))
    column, row = np.meshgrid(np.arange(120) + 0.5 - 60, 60 - np.arange(120) - 0.5)
    np.testing.assert_allclose(layer.depth, 10 * (a * column + b * row) + c, atol=1e-3)
    normal = np.array([-a, -b, 1]) / np.linalg.norm([a, b, 1])
    np.testing.assert_allclose(layer.surface[..., 3:], np.broadcast_to(normal, (120, 120, 3)),
                               atol=1e-5)  # fmt: skip


def test_a_ball_of_points_has_the_depth_of_a_ball():
    camera = _flat_camera()
    layer = empty_layer(camera)
    draw_points(layer, camera, np.zeros((1, 3)), np.zeros(1, np.uint8), GREY, 300.0)
    row, column = np.nonzero(layer.drawn)
    x, y = 10 * (column + 0.5 - 60), 10 * (60 - row - 0.5)
    np.testing.assert_allclose(
        layer.depth[row, column], np.sqrt(np.maximum(300**2 - x**2 - y**2, 0)), atol=0.01
    )
    assert len(row) == pytest.approx(np.pi * 30**2, rel=0.01)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.floats(0.0, 3.0))
def test_points_hide_each_other_as_brute_force_says(seed, radius_pixels):
    random = np.random.default_rng(seed)
    xyz = random.uniform(-60, 60, (40, 3))
    camera = Camera(np.eye(3), np.zeros(3), 5.0, 20, 20)
    layer = empty_layer(camera)
    table = random.random((40, 3)).astype(np.float32)
    draw_points(layer, camera, xyz, np.arange(40, dtype=np.uint8), table, 5.0 * radius_pixels)
    seen, radius = camera.project(xyz), max(radius_pixels, 0.5)
    for row in range(20):
        for column in range(20):
            square = (column + 0.5 - seen[:, 0]) ** 2 + (row + 0.5 - seen[:, 1]) ** 2
            here = (np.floor(seen[:, 0]) == column) & (np.floor(seen[:, 1]) == row)
            inside = (square <= radius**2) | here
            lift = 5.0 * np.sqrt(np.maximum(radius**2 - square, 0))
            best = np.where(inside, seen[:, 2] + lift, -np.inf)
            assert layer.depth[row, column] == pytest.approx(best.max(), abs=1e-3)


def test_more_points_than_are_drawn_at_once_are_all_drawn(monkeypatch):
    monkeypatch.setattr("nanospine.output.raster_fill._AT_ONCE", 7)
    camera = Camera(np.eye(3), np.array([50.0, 50, 0]), 1.0, 100, 100)
    x, y = np.meshgrid(np.arange(100) + 0.5, np.arange(100) + 0.5)
    xyz = np.column_stack([x.ravel(), y.ravel(), np.zeros(10_000)])
    layer = empty_layer(camera)
    draw_points(layer, camera, xyz, np.zeros(10_000, np.uint8), GREY, 0.5)
    assert layer.drawn.all()


def test_clefts_are_darker_than_open_ground():
    flat = trimesh.creation.box(extents=(4000, 4000, 100))
    camera = _flat_camera(200, 15.0)
    layer = empty_layer(camera)
    wall = trimesh.creation.box(extents=(300, 4000, 1200))
    wall.apply_translation((-400, 0, 0))
    other = wall.copy()
    other.apply_translation((800, 0, 0))
    for mesh in (flat, wall, other):
        item = _surface(mesh)
        faces = np.asarray(mesh.faces, dtype=np.int64)
        flat_vertices = item.vertices_nm[faces].reshape(-1, 3)
        normals = np.repeat(np.asarray(mesh.face_normals), 3, axis=0)
        draw_triangles(layer, camera, flat_vertices, np.arange(3 * len(faces)).reshape(-1, 3),
                       np.ones((3 * len(faces), 3)), normals)  # fmt: skip
    hidden = ambient_occlusion(layer)
    assert hidden[100, 113] > 0.05  # at the foot of a wall
    assert hidden[100, 100] > 0.03  # between the walls
    assert hidden[100, 15] < 0.02  # in the open
    assert ((hidden >= 0) & (hidden < 1.2)).all()


def test_what_is_translucent_shows_what_is_behind():
    behind = _surface(trimesh.creation.box(extents=(300, 300, 10)), (1.0, 0.0, 0.0))
    front = trimesh.creation.box(extents=(600, 600, 10))
    front.apply_translation((0, 0, 200))
    camera = _flat_camera()
    middle, beside = (60, 60), (60, 60 + 25)
    images = {
        opacity: compose([behind, _surface(front, (0.0, 0.0, 1.0), opacity)], None, camera).image
        for opacity in (0.3, 1.0)
    }
    assert images[1.0][middle][0] < 0.25 < images[0.3][middle][0]
    assert images[0.3][middle][0] > images[0.3][middle][2]
    assert images[0.3][beside][2] > images[1.0][beside][2]  # over white


def test_points_behind_a_solid_surface_are_hidden_and_before_it_are_not():
    wall = _surface(trimesh.creation.box(extents=(600, 600, 10)))
    xyz = np.array([[-100.0, 0, -200], [100, 0, 200]])
    table = np.array([[1.0, 0, 0]], dtype=np.float32)
    image = compose([wall], Dots(xyz, np.zeros(2, np.uint8), table, 40.0), _flat_camera()).image
    assert image[60, 70, 0] > image[60, 70, 1] + 0.2
    assert abs(image[60, 50, 0] - image[60, 50, 1]) < 0.02


@pytest.mark.parametrize("name", [*CAMERAS, "across", "tilted"])
def test_every_view_is_a_rotation(name):
    xyz = np.random.default_rng(1).normal(size=(50, 3)) * [3, 1, 0.5]
    rotation = rotation_of(name, xyz)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_azimuth_and_elevation_are_what_they_say(azimuth, elevation):
    rotation = rotation_of((azimuth, elevation), np.zeros((1, 3)))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert rotation[2, 2] == pytest.approx(np.sin(np.radians(elevation)), abs=1e-12)


@given(st.floats(0, np.pi))
def test_across_finds_the_long_axis(angle):
    random = np.random.default_rng(2)
    along = np.array([np.cos(angle), np.sin(angle), 0.0])
    line = random.normal(size=(300, 1)) * 1000 * along + random.normal(size=(300, 3))
    assert abs(across(line)[0] @ along) > 0.999


def test_a_full_turn_comes_back():
    start = CAMERAS["side"]
    np.testing.assert_allclose(turned(start, 360.0), start, atol=1e-12)
    np.testing.assert_allclose(turned(turned(start, 120.0), 240.0), start, atol=1e-12)


@given(st.integers(0, 2**31), st.one_of(st.none(), st.integers(40, 400)))
def test_framing_shows_every_point(seed, height):
    random = np.random.default_rng(seed)
    xyz = random.normal(size=(30, 3)) * random.uniform(1, 1000, 3) + random.normal(size=3) * 1e5
    camera = Camera.framing(xyz, rotation_of("tilted", xyz), 320, height)
    seen = camera.project(xyz)
    assert (seen[:, :2] > 0).all()
    assert (seen[:, 0] < camera.width).all()
    assert (seen[:, 1] < camera.height).all()


def test_an_unknown_view_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"one of top, .*tilted.*found 'front'"):
        rotation_of("front", np.zeros((3, 3)))


def test_normals_of_a_ball_point_outward():
    ball = trimesh.creation.icosphere(subdivisions=3, radius=100)
    normals = vertex_normals(np.asarray(ball.vertices), np.asarray(ball.faces))
    np.testing.assert_allclose(normals, np.asarray(ball.vertices) / 100, atol=0.02)
