"""Synaptic molecules on planted spines."""

from __future__ import annotations

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError
from nanospine.spines.model import Spines
from nanospine.spines.synapses import place_on_spines, spine_synapses


@pytest.fixture(scope="module")
def spines() -> Spines:
    return ns.find_spines(
        ns.simulate.dendrite(4000, ["mushroom", "thin", "stubby"], seed=3, voxel_nm=30).mesh
    )


def test_points_find_their_spine_and_part(spines: Spines) -> None:
    for spine in spines.spines:
        arc = np.concatenate(
            [[0], np.cumsum(np.linalg.norm(np.diff(spine.centreline_nm, axis=0), axis=1))]
        )
        neck = spine.row["neck_length_nm"]
        # well beyond the foot, which belongs to the shaft
        at = np.array([0.5 * neck, neck + 0.5 * (arc[-1] - neck)]) if neck else arc[-1:] * 0.8
        xyz = np.column_stack([np.interp(at, arc, c) for c in spine.centreline_nm.T])
        found = place_on_spines(spines, xyz)
        assert (found["spine"] == spine.id).all()
        assert found["part"].tolist() == (["neck", "head"] if neck else ["head"])
        np.testing.assert_allclose(found["position_nm"], at, atol=10)
        assert (found["distance_nm"] < 0).all()


def test_shaft_and_away(spines: Spines) -> None:
    axis = spines.shaft.axes_nm[0]
    centre = axis[len(axis) // 2]
    found = place_on_spines(spines, centre + np.array([[0, 0, 0], [0, 0, 9000]]))
    assert found["part"].tolist() == ["shaft", "away"]
    assert found["spine"].tolist() == [-1, -2]
    assert len(place_on_spines(spines, np.zeros((0, 3)))) == 0


def test_a_synapse_on_every_head(spines: Spines) -> None:
    b = np.array([spine.centreline_nm[-1] for spine in spines.spines])
    centre = spines.shaft.axes_nm[0].mean(axis=0)
    out = (b - centre) / np.linalg.norm(b - centre, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    far = rng.uniform(-4000, 4000, (60, 3)) + centre
    a = np.concatenate([b + 100 * out, far])
    result = ns.soda(a, b, [50, 100.5, 150, 200], region=ns.Box(centre - 9000, centre + 9000))
    found = spine_synapses(spines, a, b, soda=result)
    assert (found.table["n_b_head"] == 1).all()
    np.testing.assert_allclose(found.table["nearest_nm"], 100, atol=1)
    assert found.table["coupled_pairs"].sum() == pytest.approx(len(b), rel=0.2)
    coupled = found.pairs.sort_values("probability").tail(len(b))
    assert set(coupled["part_b"]) == {"head"}
    assert (coupled["spine_a"] == coupled["spine_b"]).all()


def test_without_coupling_and_bad_input(spines: Spines) -> None:
    found = spine_synapses(spines, np.zeros((0, 3)), np.zeros((0, 3)))
    assert len(found.table) == len(spines)
    assert found.table["n_a"].sum() == 0
    assert found.pairs.empty
    with pytest.raises(GeometryError, match=r"shape \(n, 3\)"):
        place_on_spines(spines, np.zeros((3, 2)))
    with pytest.raises(ConfigError, match="reach_nm"):
        place_on_spines(spines, np.zeros((3, 3)), reach_nm=-1)
