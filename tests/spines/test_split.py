"""Parts of a patch that are no spine go to their neighbour; scraps are none."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from nanospine.spines import split
from nanospine.spines.protrusion import Protrusion
from nanospine.spines.split import _grounded, _without_scraps


def _chain(count: int) -> sparse.csr_matrix:
    return sparse.diags([np.ones(count - 1)] * 2, [-1, 1], format="csr")


def test_a_head_that_a_wall_cut_from_its_stem_gets_it_back():
    """Vertices 0-4 are shaft; 5-9 a stem, 10-14 its head, 15-19 a spine of its own."""
    graph = sparse.lil_matrix(_chain(20))
    graph[15, 4] = graph[4, 15] = 1.0
    graph[9, 11] = graph[11, 9] = 1.0
    patch = np.arange(5, 20)
    label = np.repeat([0, 1, 2], 5)
    area = np.full(15, 1e5)
    joined = _grounded(label, patch, graph.tocsr()[patch].tocoo(), area)
    assert joined[:10].tolist() == [0] * 10
    assert (joined[10:] == 2).all()


def test_a_part_too_small_for_a_spine_goes_to_its_neighbour():
    patch = np.arange(5, 15)
    label = np.repeat([0, 1], [7, 3])
    beside = sparse.lil_matrix(_chain(15))
    beside[14, 0] = beside[0, 14] = 1.0  # it stands on the shaft itself
    edges = beside.tocsr()[patch].tocoo()
    assert (_grounded(label, patch, edges, np.full(10, 2e4)) == 0).all()
    assert _grounded(label, patch, edges, np.full(10, 1e5)).tolist() == label.tolist()


def test_strips_between_neighbours_are_left_out_and_what_stands_alone_is_kept():
    graph = _chain(30)
    area = np.full(30, 1e4)
    parts = [np.arange(20), np.arange(20, 23), np.arange(26, 30)]
    lobes = [Protrusion(p, np.arange(len(p)) * 50.0, (np.arange(len(p)),)) for p in parts]
    kept = _without_scraps(lobes, graph, area)
    assert [lobe.vertices[0] for lobe in kept] == [0, 26]


def test_what_a_moved_border_cuts_off_from_the_shaft_goes_to_whom_it_touches(monkeypatch):
    """A ribbon of two rails, 0-23 and 24-47: shaft 0-2 (24-26), one spine up to 9, the other down
    to 10 from the far end. The border moves to 15, and one vertex amid the first becomes the
    second's, which it does not touch.
    """
    rail = np.arange(24)
    graph = sparse.lil_matrix(sparse.block_diag([_chain(24), _chain(24)]))
    for i, j in [*zip(rail, rail + 24, strict=True), (23, 0), (47, 24)]:
        graph[i, j] = graph[j, i] = 1.0
    place = np.tile(rail, 2)
    height = np.where(place < 3, 0.0, 500.0)
    moved = np.where(place < 3, -1, np.where(place < 16, 0, 1))
    moved[6] = 1
    monkeypatch.setattr(split, "along_creases", lambda *_: moved.copy())
    parts = [
        split._Part(np.flatnonzero((place >= 3) & (place < 10)), np.zeros(14), 300.0),
        split._Part(np.flatnonzero(place >= 10), np.zeros(28), 200.0),
    ]
    one, other = split._creased(None, parts, graph.tocsr(), np.ones(48), height, 100.0)
    assert one.vertices.tolist() == np.flatnonzero((place >= 3) & (place < 16)).tolist()
    assert other.vertices.tolist() == np.flatnonzero(place >= 16).tolist()
    assert (one.distance_nm == place[one.vertices] - 3).all()
    assert (other.distance_nm == 23 - place[other.vertices]).all()
    assert (one.least_nm, other.least_nm) == (300.0, 200.0)


def test_parts_that_do_not_touch_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(split, "along_creases", lambda mesh, label, area, held: label)
    parts = [split._Part(np.arange(3, 6), np.arange(3.0), 300.0)]
    assert split._creased(None, parts, _chain(9), np.ones(9), np.ones(9), 0.0) == parts
