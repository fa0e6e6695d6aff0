"""Types as experts name them: the shipped model on simulated spines, and where labels are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trimesh

import nanospine as ns
from nanospine.core.errors import GeometryError
from nanospine.spines.learned_types import (
    FEATURES,
    TypeModel,
    shape_features,
    type_model,
    type_probabilities,
)
from nanospine.spines.levels import part_of


@pytest.mark.parametrize("kind", ["stubby", "thin", "mushroom"])
def test_simulated_spines_get_their_name(kind: str) -> None:
    spines = ns.find_spines(ns.simulate.spine(kind, seed=77, voxel_nm=40).mesh)
    found = type_probabilities(spines)
    assert found["likely_type"].tolist() == [kind]
    total = found[[f"p_{name}" for name in type_model().types]].to_numpy().sum()
    assert total == pytest.approx(1)


def test_probabilities_are_the_softmax() -> None:
    model = TypeModel(("a", "b"), np.ones(1), np.full(1, 2.0), np.array([[1.0], [-1.0]]),
                      np.array([0.5, 0.0]), {})  # fmt: skip
    p = model.probabilities(np.array([[3.0]]))[0]
    assert p[0] == pytest.approx(1 / (1 + np.exp(-2.5)))


def test_the_size_of_the_model_file_and_its_features() -> None:
    model = type_model()
    assert model.coefficients.shape == (3, len(FEATURES))
    assert model.about["cross_validated_by_dendrite"]["accuracy"] >= 0.80


def test_a_closed_surface_has_no_junction() -> None:
    with pytest.raises(GeometryError, match="open where the spine stood"):
        shape_features(trimesh.creation.icosphere())


def test_features_do_not_depend_on_place_or_turn() -> None:
    part = ns.find_spines(ns.simulate.spine("mushroom", seed=5, voxel_nm=40).mesh).spines[0].mesh
    turned = part.copy()
    turned.apply_transform(trimesh.transformations.rotation_matrix(1.1, [0.3, 0.6, 0.1]))
    turned.apply_translation([1e4, -2e4, 3e3])
    np.testing.assert_allclose(shape_features(turned), shape_features(part), atol=1e-6)


def test_labelled_spines(shared_data: Path) -> None:
    # most of them were trained on: this finds a broken model file, the accuracy on dendrites that
    # were not seen is in the file itself
    folder = shared_data / "meshes/spinetool"
    labels = pd.read_csv(folder / "spine_labels.csv").set_index("spine_id")["consensus_reduced"]
    right = total = 0
    for path in sorted(folder.glob("dendrites/*.npz"))[:8]:
        data = np.load(path)
        mesh = trimesh.Trimesh(data["vertices_um"] * 1000.0, data["faces"], process=False)
        for number in np.unique(data["spine_index"]):
            kind = labels.get(f"{path.stem}__spine_{number}")
            if isinstance(kind, str):
                of = data["spine_index"]
                part, _ = part_of(mesh, (of[mesh.faces] == number).all(axis=1))
                p = type_model().probabilities(shape_features(part)[None])[0]
                right += type_model().types[int(p.argmax())] == kind.lower()
                total += 1
    assert right / total > 0.75
