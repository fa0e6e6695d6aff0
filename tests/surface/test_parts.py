"""Parts of a surface: volumes, and which bodies lie in voids, against searches of trees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import trimesh

from nanospine.core.triangles import TriangleTree
from nanospine.surface.parts import BodiesInVoids, cone_volumes, kept_parts

FloatArray = npt.NDArray[np.float64]


def scene(*meshes: trimesh.Trimesh) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    mesh = trimesh.util.concatenate(list(meshes))
    return np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64)


def ball(radius: float, at: float = 0.0, *, void: bool = False) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(1, radius)
    mesh.apply_translation([at, 0, 0])
    if void:
        mesh.invert()
    return mesh


@pytest.mark.parametrize("shift", [0.0, 3e6])
@pytest.mark.parametrize("count", [1, 7, 3000])
def test_windings_find_what_a_tree_finds(count: int, shift: float) -> None:
    vertices, faces = scene(ball(30), ball(20, 90), trimesh.creation.annulus(10, 25, 60))
    vertices = vertices + shift
    rng = np.random.default_rng(count)
    points = rng.uniform(-60, 130, (count, 3)) + shift
    # straight below corners, edges and middles of faces, too
    points[::3, :2] = vertices[rng.integers(0, len(vertices), len(points[::3])), :2]
    points[1::3, :2] = vertices[faces[: len(points[1::3]), :2]].mean(axis=1)[
        rng.integers(0, min(len(faces), len(points[1::3])) or 1, len(points[1::3])), :2
    ]
    found = BodiesInVoids(points)
    for part in np.array_split(rng.permutation(len(faces)), 4):
        found.add(vertices, faces[part])
    winding = sum(
        TriangleTree(mesh.vertices + shift, mesh.faces).contains(points).astype(int)
        for mesh in (ball(30), ball(20, 90), trimesh.creation.annulus(10, 25, 60))
    )
    off = np.abs(TriangleTree(vertices, faces).signed_distance(points)) > 1e-6
    assert np.array_equal(found.inside()[off], (winding > 0)[off])
    if count > 100:
        assert 0.01 < found.inside().mean() < 0.9


def test_bodies_in_voids_go_however_deep_they_lie() -> None:
    vertices, faces = scene(
        ball(50), ball(45, void=True), ball(30), ball(25, void=True), ball(5), ball(20, 200)
    )
    filled = kept_parts(vertices, faces, True, 0.0)
    assert filled.reshape(6, 80).all(axis=1).tolist() == [True, False, False, False, False, True]
    assert kept_parts(vertices, faces, False, 0.0).all()
    large = kept_parts(vertices, faces, False, 0.1)
    assert large.reshape(6, 80).all(axis=1).tolist() == [True, True, True, True, False, False]


def test_volumes_keep_their_digits_far_from_the_origin() -> None:
    mesh = ball(2.0)
    vertices = np.asarray(mesh.vertices) + 1e8  # eight digits are left of a coordinate
    part = np.zeros(len(mesh.faces), dtype=np.int64)
    volume = cone_volumes(vertices, mesh.faces, part, vertices[:1]).sum()
    assert volume == pytest.approx(mesh.volume, rel=1e-6)
