"""Dendrites that the field of view cuts open come out whole, with lids where they were cut."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.core.errors import GeometryError
from nanospine.surface.border import border_of, lids

BOX = ns.Box((0, -600, -600), (2000, 600, 600))


def cut_shaft(seed=0, n=16_000, radius=350.0, tilt=0.0):
    """A tube without ends along x, tilted in y, that the box cuts at x = 0 and 2000."""
    rng = np.random.default_rng(seed)
    around = rng.uniform(0, 2 * np.pi, n)
    x = rng.uniform(-300, 2300, n)
    points = np.stack(
        [x, radius * np.cos(around) + tilt * (x - 1000), radius * np.sin(around)], axis=1
    )
    points += rng.normal(size=points.shape) * [10, 10, 20]
    background = rng.uniform([-300, -900, -900], [2300, 900, 900], (n // 20, 3))
    points = np.concatenate([points, background])
    return points[BOX.contains(points)]


@pytest.mark.parametrize("tilt", [0.0, 0.1])
def test_a_shaft_cut_at_both_ends_is_solid(tilt):
    points = cut_shaft(tilt=tilt)
    locs = ns.from_arrays(points, precision_nm=(10, 10, 20), region=BOX)
    wrapped = ns.envelope(locs)
    truth = np.pi * 350**2 * 2000
    assert wrapped.mesh.is_volume
    assert (wrapped.n_components, wrapped.genus) == (1, 0)
    assert wrapped.volume_nm3 == pytest.approx(truth, rel=0.02)
    assert any("in 2 places; flat lids" in note for note in wrapped.notes)
    ends = wrapped.mesh.bounds[:, 0]
    assert ends == pytest.approx([0, 2000], abs=25)
    # why they are there
    open_ = ns.envelope(locs, border=None)
    assert not any("lid" in note for note in open_.notes)
    assert abs(open_.volume_nm3 / truth - 1) > 0.05


def test_a_plane_box_has_four_walls():
    flat = ns.Box((0, -600), (2000, 600))
    added, count = lids(cut_shaft(), flat)
    assert count == 2
    assert set(added[:, 0]) == {0.0, 2000.0}
    assert (np.hypot(added[:, 1], added[:, 2]) < 365).all()


def test_a_membrane_inside_its_box_gets_no_lids():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(4000, 3))
    points *= 300 / np.linalg.norm(points, axis=1, keepdims=True)
    touching = ns.Box((-300, -300, -300), (300, 300, 300))
    for box in (ns.Box((-900, -900, -900), (900, 900, 900)), touching):
        added, count = lids(points, box)
        assert (len(added), count) == (0, 0)
    empty, count = lids(points[:5], touching)
    assert (len(empty), count) == (0, 0)
    same, count = lids(np.ones((100, 3)), touching)
    assert (len(same), count) == (0, 0)


def test_which_box_may_cut():
    points = cut_shaft(n=2000)
    for given in (points, ns.from_arrays(points)):
        box = border_of(given, "auto")
        assert box.assumed
        np.testing.assert_array_equal(box.bounds_nm, [points.min(axis=0), points.max(axis=0)])
    assert border_of(ns.from_arrays(points, region=BOX), "auto") is BOX
    prism = ns.Prism([(-100, -900), (2100, -900), (2100, 900), (-100, 900)], -900, 900)
    assert border_of(ns.from_arrays(points, region=prism), "auto") is None
    assert border_of(points, BOX) is BOX
    assert border_of(ns.from_arrays(points, region=BOX), None) is None
    with pytest.raises(GeometryError, match="border must be"):
        ns.envelope(points, border="box")


@pytest.mark.parametrize("tilt", [0.0, 0.1])
def test_a_field_that_nobody_said_cuts_too(tilt):
    wrapped = ns.envelope(cut_shaft(tilt=tilt), precision_nm=(10, 10, 20))
    assert (wrapped.n_components, wrapped.genus) == (1, 0)
    assert wrapped.volume_nm3 == pytest.approx(np.pi * 350**2 * 2000, rel=0.02)
    assert any("its region (assumed) in 2 places" in note for note in wrapped.notes)


def test_a_membrane_that_is_open_says_what_to_do():
    points = cut_shaft()
    slanted = points[points[:, 0] + 0.7 * points[:, 1] < 1300]
    for wrapped in (ns.envelope(points, border=None), ns.envelope(slanted)):
        assert any("the membrane is open" in n or "no hollow" in n for n in wrapped.notes)
    # cut out of a larger table, whose assumed region is larger
    locs = ns.from_arrays(np.concatenate([points, points + np.array([9000, 0, 0])]))
    part = locs.select(locs.table["x_nm"].to_numpy() < 5000, operation="crop")
    assert any("(assumed) in 2 places" in note for note in ns.envelope(part).notes)


@pytest.mark.parametrize("noise_nm", [0.0, 10.0, 25.0])
@pytest.mark.parametrize(
    "shape",
    [
        trimesh.creation.torus(400, 120),
        trimesh.creation.capsule(1500, 300),
        trimesh.creation.cylinder(300, 1500),
        trimesh.creation.cone(300, 900),
        trimesh.creation.annulus(150, 400, 500),
    ],
)
def test_what_only_touches_its_bounding_box_is_not_cut(shape, noise_nm):
    points, _ = trimesh.sample.sample_surface(shape, 6000, seed=0)
    points = points + np.random.default_rng(0).normal(0, noise_nm, points.shape)
    assert lids(points, border_of(points, "auto"))[1] == 0


def test_a_filled_label_needs_no_lids_and_says_what_it_does_not_resolve():
    rng = np.random.default_rng(2)
    balls = [rng.normal(size=(3000, 3)) for _ in range(2)]
    balls = [
        b / np.linalg.norm(b, axis=1, keepdims=True) * 300 * rng.random((3000, 1)) ** (1 / 3)
        for b in balls
    ]
    points = np.concatenate([balls[0], balls[1] + [1000, 0, 0]])
    wrapped = ns.envelope(points, label="filled", border=ns.Box((0, -400, -400), (900, 400, 400)))
    assert wrapped.n_components == 2
    assert any("is not resolved" in note for note in wrapped.notes)
    assert not any("lid" in note for note in wrapped.notes)


def test_background_near_a_face_is_no_ring() -> None:
    # an outline could be drawn of it, and its lid swallowed the dendrite
    shape = ns.simulate.spine("mushroom", seed=2, voxel_nm=30)
    locs = ns.simulate.localize(shape, density_per_um2=600, seed=1)
    assert not locs.region.assumed
    found = ns.envelope(locs)
    assert not any("border" in note for note in found.notes)
    assert found.volume_nm3 == pytest.approx(shape.mesh.volume, rel=0.02)
