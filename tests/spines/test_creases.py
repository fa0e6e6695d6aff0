"""Borders between spines that touch lie in the creases between them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import trimesh

from nanospine.spines import creases
from nanospine.spines.creases import along_creases

RADIUS_NM, APART_NM = 300.0, 520.0


def two_balls() -> trimesh.Trimesh:
    """Two balls that overlap a little, one surface; they meet at z = 260."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=RADIUS_NM)
    other = ball.copy().apply_translation([0, 0, APART_NM])
    middle = APART_NM / 2
    both = trimesh.util.concatenate(
        [ball.slice_plane([0, 0, middle], [0, 0, -1]), other.slice_plane([0, 0, middle], [0, 0, 1])]
    )
    both.merge_vertices(digits_vertex=3)
    return both


def areas(mesh: trimesh.Trimesh) -> np.ndarray:
    weight = np.repeat(mesh.area_faces / 3, 3)
    return np.bincount(mesh.faces.ravel(), weights=weight, minlength=len(mesh.vertices))


@pytest.mark.parametrize("border", [60.0, 150.0, 260.0, 330.0, 460.0])
@pytest.mark.parametrize("numbers", [(0, 1), (7, 3)])
def test_planted_crease(border, numbers):
    """However the border ran over one of the balls, it ends up between them."""
    mesh = two_balls()
    height = mesh.vertices[:, 2]
    lower, upper = numbers
    label = np.where(height > border, upper, lower)
    found = along_creases(mesh, label, areas(mesh))
    far = np.abs(height - APART_NM / 2) > 45
    assert (found[far] == np.where(height > APART_NM / 2, upper, lower)[far]).all()


def test_the_shaft_stays_and_nothing_joins_it():
    mesh = two_balls()
    height = mesh.vertices[:, 2]
    label = np.where(height > 100, 1, 0)
    label[height < -200] = -1
    found = along_creases(mesh, label, areas(mesh))
    assert ((found < 0) == (label < 0)).all()


def test_where_there_is_no_crease_the_feet_hold_their_parts():
    """A ball in two halves: without what is held, one label would take all of it."""
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=RADIUS_NM)
    height = mesh.vertices[:, 2]
    label = (height > 0).astype(np.int64)
    assert len(np.unique(along_creases(mesh, label, areas(mesh)))) == 1
    held = np.abs(height) > 150
    found = along_creases(mesh, label, areas(mesh), held)
    assert (found[held] == label[held]).all()


def test_borders_elsewhere_and_single_parts_stay():
    mesh = two_balls()
    label = np.zeros(len(mesh.vertices), dtype=np.int64)
    assert (along_creases(mesh, label, areas(mesh)) == 0).all()
    assert (along_creases(mesh, label - 1, areas(mesh)) == -1).all()


@pytest.mark.parametrize("seed", range(20))
def test_no_division_is_cheaper(seed):
    """Against all divisions of ten vertices between two labels."""
    random = np.random.default_rng(seed)
    count = 10
    edges = np.array(list(itertools.combinations(range(count), 2)))
    edges = edges[random.random(len(edges)) < 0.4]
    cost, given = random.integers(1, 90, len(edges)) / 10, random.integers(1, 90, count) / 10
    label = random.integers(2, 4, count)
    label[0], label[1] = 2, 3

    def price(division: np.ndarray) -> float:
        across = division[edges[:, 0]] != division[edges[:, 1]]
        return float(cost[across].sum() + given[division != label].sum())

    found = creases._divided(label, 2, 3, edges, cost, given)
    best = min(price(np.array(d)) for d in itertools.product((2, 3), repeat=count))
    assert price(found) == pytest.approx(best)
