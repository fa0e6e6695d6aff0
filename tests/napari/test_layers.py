"""Layers without a window: places, colours, units, and what is beyond a million."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.core.colours import TYPE_COLOURS, rgb
from nanospine.napari import layers
from nanospine.napari.layers import KEY, envelope_layer, localization_layer, spine_layers
from nanospine.napari.reader import get_reader
from nanospine.napari.sample import synapses


def test_places_are_z_y_x_in_nanometres(locs):
    data, options, kind = localization_layer(locs)
    assert kind == "points"
    np.testing.assert_array_equal(data, locs.xyz_nm[:, [2, 1, 0]])
    assert options["units"] == ("nm", "nm", "nm")
    assert options["metadata"][KEY] is locs
    assert list(options["features"]) == list(locs.table.columns)


def test_beyond_a_million_there_is_a_volume_that_counts_every_localization(monkeypatch):
    monkeypatch.setattr(layers, "MOST_POINTS", 5000)
    xyz = np.random.default_rng(0).random((20_000, 3)) * [3000, 2000, 400] + [1e5, -7, 0]
    data, options, kind = localization_layer(ns.from_arrays(xyz))
    assert kind == "image"
    assert data.sum() == 20_000
    assert data.ndim == 3
    cell = np.array(np.unravel_index(data.argmax(), data.shape))
    centre = cell * options["scale"] + options["translate"]
    inside = np.abs(xyz[:, ::-1] - centre).max(axis=1) <= options["scale"][0] / 2
    assert inside.sum() == data.max()


def test_wide_fields_get_larger_voxels(monkeypatch):
    monkeypatch.setattr(layers, "MOST_POINTS", 10)
    xyz = np.random.default_rng(0).random((1000, 3)) * [1e5, 1e5, 1e4]
    data, options, _ = localization_layer(ns.from_arrays(xyz))
    assert data.size <= 24_000_000
    assert options["scale"][0] > 10


def test_surfaces_keep_their_volume_and_face_outward(found):
    (vertices, faces), options, kind = envelope_layer(found.envelope)
    assert kind == "surface"
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.volume == pytest.approx(found.envelope.mesh.volume)
    assert len(options["vertex_colors"]) == len(vertices)


def test_spines_are_a_surface_by_type_and_tips_with_the_table(found):
    surface, *rest = spine_layers(found)
    tips = rest[-1]
    assert tips[2] == "points"
    assert tips[1]["features"].equals(found.table)
    for spine, tip in zip(found.spines, tips[0], strict=True):
        np.testing.assert_array_equal(tip, spine.centreline_nm[-1][::-1])
        colours = surface[1]["vertex_colors"][found.vertex_spine == spine.id, :3]
        wanted = np.tile(rgb(TYPE_COLOURS[spine.type]), (len(colours), 1))
        np.testing.assert_allclose(colours, wanted, atol=1e-6)


def test_the_reader_knows_what_nanospine_knows(locs, tmp_path):
    ns.write(locs, tmp_path / "a.parquet")
    ((data, options, kind),) = get_reader(str(tmp_path / "a.parquet"))(None)
    assert (kind, options["name"], len(data)) == ("points", "a", len(locs))
    (tmp_path / "b.csv").write_text("name,age\nann,5\n")
    assert get_reader(str(tmp_path / "b.csv")) is None
    assert get_reader(str(tmp_path / "missing.csv")) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(tmp_path / "a.parquet")] * 2) is None
    assert get_reader([str(tmp_path / "a.parquet")]) is not None


def test_the_folder_of_a_run_is_read(found, locs, tmp_path):
    from nanospine.output.export import write_mesh

    (tmp_path / "run.json").write_text("{}")
    ns.write(locs, tmp_path / "localizations.parquet")
    write_mesh(found, tmp_path / "spines.ply")
    points, surface = get_reader(str(tmp_path))(None)
    assert (points[2], surface[2]) == ("points", "surface")
    colours = surface[1]["vertex_colors"]
    blue = rgb(TYPE_COLOURS["mushroom"])
    assert (np.abs(colours[:, :3] - blue).max(axis=1) < 0.01).sum() > 100


def test_sample_data_have_two_channels():
    ((_, options, kind),) = synapses()
    assert kind == "points"
    assert len({tuple(row) for row in options["face_color"]}) == 2


def test_nothing_of_napari_or_qt_is_loaded_by_the_library():
    import subprocess
    import sys

    code = """
import sys, nanospine, nanospine.cli.app, nanospine.napari.layers, nanospine.napari.reader
loaded = {name.split('.')[0] for name in sys.modules}
sys.exit(bool(loaded & {'napari', 'qtpy', 'PyQt6', 'PySide6'}))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
