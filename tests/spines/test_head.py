from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.spines.head import measure_head, mesh_profile
from nanospine.spines.neck import Constriction, NeckProfile


def profile(neck, neck_length, head, step=10.0):
    """A straight neck joined to a round head, as a profile without error, and its length."""
    reach = np.sqrt((head / 2) ** 2 - (neck / 2) ** 2)
    length = neck_length + reach + head / 2
    s = np.arange(0, length - 1, step)
    round_ = (head / 2) ** 2 - (s - neck_length - reach) ** 2
    diameter = np.where(s <= neck_length, neck, 2 * np.sqrt(np.maximum(round_, 0)))
    found = Constriction(neck, neck - 5, neck + 5, neck_length / 2, 100)
    count = np.full(len(s), 50)
    return NeckProfile(s, diameter, diameter, diameter, count, found, True), length


@pytest.mark.parametrize(("neck", "length", "head"), [(120, 500, 400), (200, 450, 800)])
def test_neck_and_head_of_a_planted_profile(neck, length, head):
    found = measure_head(*profile(neck, length, head))
    assert found.neck_diameter_nm == neck
    assert found.head_diameter_nm == pytest.approx(head, rel=0.01)
    assert found.neck_length_nm == pytest.approx(length, rel=0.03)
    assert found.head_volume_nm3 == pytest.approx(np.pi / 6 * head**3, rel=0.05)


def test_a_profile_without_numbers_gives_none():
    empty = np.full(5, np.nan)
    nothing = NeckProfile(np.arange(5.0), empty, empty, empty, np.zeros(5, int), None, False, "-")
    found = measure_head(nothing, 100.0)
    assert np.isnan(found.head_diameter_nm)
    assert np.isnan(found.volume_nm3)


@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 2, -1)])
def test_sections_of_a_cylinder_have_its_diameter(direction):
    mesh = trimesh.creation.cylinder(radius=100, height=600, sections=128)
    turn = trimesh.geometry.align_vectors([0, 0, 1], direction)
    mesh.apply_transform(turn)
    line = np.linspace([0, 0, -250], [0, 0, 250], 20) @ turn[:3, :3].T
    found = mesh_profile(mesh, line)
    np.testing.assert_allclose(found.diameter_nm, 200, rtol=2e-3)


def test_a_section_takes_the_loop_around_the_centreline_only():
    one = trimesh.creation.cylinder(radius=100, height=600, sections=64)
    other = one.copy()
    other.apply_translation([500, 0, 0])
    line = np.linspace([0, 0, -200], [0, 0, 200], 10)
    found = mesh_profile(trimesh.util.concatenate([one, other]), line)
    np.testing.assert_allclose(found.diameter_nm, 200, rtol=5e-3)


def test_a_profile_known_only_at_its_base_has_no_middle_to_average():
    diameter = np.array([50.0, 51.0])
    found = Constriction(50.0, 45.0, 55.0, 0.0, 40)
    stub = NeckProfile(
        np.array([0.0, 5.0]), diameter, diameter, diameter, np.full(2, 40), found, True
    )
    assert measure_head(stub, 100.0).neck_mean_diameter_nm == pytest.approx(50, abs=1)
