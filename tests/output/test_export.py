"""Meshes are written whole, in colour, and other readers open them."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.core.colours import SHAFT_COLOUR, TYPE_COLOURS, rgb
from nanospine.core.errors import WriteError
from nanospine.output.export import MESH_SUFFIXES, vertex_colours, write_mesh


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_every_format_opens_again(found, tmp_path, suffix):
    path = tmp_path / f"dendrite{suffix}"
    write_mesh(found, path)
    again = trimesh.load_mesh(path)
    scale = 1000 if suffix == ".glb" else 1  # GLB is in micrometres
    assert again.volume * scale**3 == pytest.approx(found.envelope.volume, rel=1e-3)
    assert again.is_watertight
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".ply", ".glb", ".obj"])
def test_colours_are_kept(found, tmp_path, suffix):
    path = tmp_path / f"dendrite{suffix}"
    write_mesh(found, path)
    again = np.unique(np.asarray(trimesh.load_mesh(path).visual.vertex_colors)[:, :3], axis=0)
    expected = [SHAFT_COLOUR, *[TYPE_COLOURS[spine.type] for spine in found.spines]]
    for colour in expected:
        distance = np.abs(again - rgb(colour) * 255).max(axis=1).min()
        assert distance <= 2, colour


def test_units_are_stated(found, tmp_path):
    write_mesh(found, tmp_path / "a.ply")
    assert b"unit nanometre" in (tmp_path / "a.ply").read_bytes()[:300]
    write_mesh(found, tmp_path / "a.glb")
    assert b"micrometre" in (tmp_path / "a.glb").read_bytes()


def test_vertex_colours_follow_the_labels(found):
    colours = vertex_colours(found)
    spine = found.spines[0]
    mine = found.vertex_spine == spine.id
    np.testing.assert_allclose(
        colours[mine], np.tile(rgb(TYPE_COLOURS[spine.type]), (mine.sum(), 1))
    )


def test_unknown_suffix_and_missing_folder(found, tmp_path):
    with pytest.raises(WriteError, match=r"written as \.glb, \.ply"):
        write_mesh(found, tmp_path / "a.fbx")
    with pytest.raises(WriteError, match="does not exist"):
        write_mesh(found, tmp_path / "no" / "a.ply")
