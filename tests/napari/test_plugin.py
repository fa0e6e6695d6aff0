"""The plugin in the real napari, headless: manifest, readers, widgets, table, corrections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import trimesh

import nanospine as ns
from nanospine.napari.layers import KEY, localization_layer, spine_layers
from nanospine.output.corrected import corrected_spines
from nanospine.output.corrections import read_corrections

pytestmark = pytest.mark.filterwarnings("ignore")


def _add(viewer, layers):
    for data, options, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **options)


@pytest.fixture
def points(viewer, locs):
    _add(viewer, [localization_layer(locs, "cell")])
    return viewer


@pytest.fixture
def table(viewer, found):
    from nanospine.napari.spine_table import SpineTable

    _add(viewer, spine_layers(found))
    widget = SpineTable(viewer)
    yield widget
    widget.close()


def test_the_manifest_is_valid():
    npe2 = pytest.importorskip("npe2", reason="napari is not installed")
    manifest = npe2.PluginManifest.from_distribution("nanospine")
    manifest.validate_imports()
    assert len(manifest.contributions.sample_data) == 2


@pytest.mark.parametrize(
    "name",
    [
        "Clean localizations",
        "Envelope",
        "Spines",
        "Coupling (SODA)",
        "Voxels and labels",
        "Table of spines",
    ],
)
def test_napari_docks_every_widget(points, name):
    dock, widget = points.window.add_plugin_dock_widget("nanospine", name)
    assert name in dock.name
    if hasattr(widget, "layer"):
        assert widget.layer.value == "cell"


def test_napari_opens_a_file_through_the_plugin(viewer, locs, tmp_path):
    ns.write(locs, tmp_path / "cell.parquet")
    (layer,) = viewer.open(tmp_path / "cell.parquet", plugin="nanospine")
    assert len(layer.data) == len(locs)
    assert str(layer.units[0]) == "nanometer"


def test_napari_opens_the_sample(viewer):
    (layer,) = viewer.open_sample("nanospine", "synapses")
    assert layer.metadata[KEY].channels == ("post", "pre")


def test_every_layer_can_be_shown(viewer, found, locs):
    _add(viewer, [localization_layer(locs), *spine_layers(found)])
    viewer.dims.ndisplay = 3
    assert [layer.name for layer in viewer.layers][1] == "spines"
    extent = viewer.layers["spines"].extent.world
    low, high = found.envelope.mesh.bounds
    np.testing.assert_allclose(extent, [low[::-1], high[::-1]])


def test_cleaning_makes_a_layer(points, wait):
    from nanospine.napari.widgets import FilterWidget

    widget = FilterWidget(points)
    widget.where.value = "photons > 0 and x_nm > 1000"
    widget.steps.value = "drop_sparse 100 min_neighbours=3"
    widget.start()
    wait(lambda: "cleaned" in points.layers)
    cleaned = points.layers["cleaned"].metadata[KEY]
    assert (cleaned.table["x_nm"] > 1000).all()
    assert [step["operation"] for step in cleaned.history[-2:]] == ["keep_where", "drop_sparse"]
    assert "localizations are left" in widget.status.value
    assert widget.run_button.enabled


@pytest.mark.parametrize(
    ("where", "steps", "message"),
    [("age > 5", "", "age"), ("", "paint 5", "paint")],
    ids=["unknown column", "unknown step"],
)
def test_what_is_wrong_is_said_below_the_button(points, wait, where, steps, message):
    from nanospine.napari.widgets import FilterWidget

    widget = FilterWidget(points)
    widget.where.value, widget.steps.value = where, steps
    widget.start()
    wait(lambda: widget.run_button.enabled and message in widget.status.value)
    assert len(points.layers) == 1


def test_without_a_layer_the_user_is_told(viewer):
    from nanospine.napari.widgets import EnvelopeWidget

    widget = EnvelopeWidget(viewer)
    widget.start()
    assert widget.status.value.startswith("Choose a layer")


def test_an_envelope_is_wrapped_with_progress(points, wait):
    from nanospine.napari.widgets import EnvelopeWidget

    widget = EnvelopeWidget(points)
    seen = []
    original = widget._tell
    widget._tell = lambda stage, fraction: (
        seen.append((stage, fraction)),
        original(stage, fraction),
    )
    widget.start()
    assert widget.stop_button.enabled
    wait(lambda: "envelope" in points.layers)
    assert len(seen) > 2
    assert points.layers["envelope"].metadata[KEY].mesh.is_watertight
    assert "µm³" in widget.status.value


def test_work_can_be_stopped(points, wait):
    from nanospine.napari.widgets import SpinesWidget

    widget = SpinesWidget(points)
    widget.start()
    widget.stop()
    wait(lambda: widget.run_button.enabled)
    assert widget.status.value == "stopped"
    assert len(points.layers) == 1


def test_spines_are_found(points, wait, found):
    from nanospine.napari.widgets import SpinesWidget

    widget = SpinesWidget(points)
    widget.start()
    wait(lambda: "spines" in points.layers)
    here = points.layers["spines"].metadata[KEY]
    assert here.table["type"].tolist() == found.table["type"].tolist()
    assert f"{len(here)} spines" in widget.status.value


def test_a_precision_that_is_no_number_is_refused(points):
    from nanospine.napari.widgets import SpinesWidget

    widget = SpinesWidget(points)
    widget.precision_nm.value = "10,20"
    widget.start()
    assert "10,10,20; found '10,20'" in widget.status.value
    assert widget.job is None


def test_rows_and_tips_are_picked_together(table, viewer, found):
    assert table.table.rowCount() == len(found)
    tips = viewer.layers["spines: tips"]
    table.select([])
    table.table.selectRow(1)
    number = table.selected()[0]
    assert tips.selected_data == {number}
    np.testing.assert_allclose(viewer.camera.center, tips.data[number])
    before = np.array(viewer.layers["spines"].vertex_colors)
    tips.selected_data = {0}
    assert table.selected() == [0]
    after = viewer.layers["spines"].vertex_colors
    changed = np.flatnonzero((before != after).any(axis=1))
    assert set(found.vertex_spine[changed]) == {0, number}


def test_numbers_sort_as_numbers(table):
    from qtpy.QtCore import Qt

    column = 5  # length
    table.table.sortItems(column, Qt.SortOrder.DescendingOrder)
    role = Qt.ItemDataRole.DisplayRole
    lengths = [table.table.item(row, column).data(role) for row in range(table.table.rowCount())]
    assert lengths == sorted(lengths, reverse=True)


def test_corrections_are_shown_taken_back_and_saved(table, viewer, found, tmp_path):
    first, second = (int(n) for n in found.table["spine"][:2])
    table.select([first])
    table.kind.setCurrentText("filopodium")
    table.reason.setText("looks so")
    table.retype()
    assert table.frame.set_index("spine")["type"][first] == "filopodium"
    table.select([second])
    table.reject()
    assert table.table.rowCount() == len(found) - 1
    grey = viewer.layers["spines"].vertex_colors[found.vertex_spine == second, :3]
    np.testing.assert_allclose(grey, 0.35)
    table.undo()
    assert table.table.rowCount() == len(found)
    table.select([first])
    table.split()
    table.select([first, second])
    table.merge()
    assert table.table.rowCount() == len(found) - 1
    table.save(tmp_path / "c.json")
    actions = [(item.action, item.spine) for item in read_corrections(tmp_path / "c.json")]
    assert actions == [("retype", first), ("split", first), ("merge", first)]
    shown = table.frame
    table.corrections = []
    table.load(tmp_path / "c.json")
    pd.testing.assert_frame_equal(table.frame, shown)
    tip = found.spines[first].centreline_nm[-1]
    np.testing.assert_allclose(table.corrections[0].tip_nm, tip, atol=0.06)


def test_what_is_saved_is_replayed_by_a_run(table, found, locs, tmp_path):
    table.select([0])
    table.reject()
    table.save(tmp_path / "c.json")
    new = corrected_spines(found, read_corrections(tmp_path / "c.json"), locs)
    assert new.table["type"].tolist() == table.frame["type"].tolist()


def test_two_lobes_are_split_between(found):
    pytest.importorskip("napari", reason="napari is not installed")
    from nanospine.napari.spine_table import split_plane

    balls = [trimesh.creation.icosphere(radius=200.0) for _ in range(2)]
    balls[0].apply_translation([-250, 0, 600])
    balls[1].apply_translation([250, 0, 600])
    both = trimesh.util.concatenate(balls)
    line = np.column_stack([np.zeros(20), np.zeros(20), np.linspace(0, 800, 20)])
    spine = replace(found.spines[0], mesh=both, centreline_nm=line)
    point, normal = split_plane(spine, "along")
    assert abs(point[0]) < 30
    assert abs(normal[0]) > 0.99
    point, normal = split_plane(spine, "across")
    assert abs(point[2] - 400) < 45
    assert abs(normal[2]) > 0.99


def test_a_file_that_holds_no_corrections_is_said(table, tmp_path, monkeypatch):
    from qtpy.QtWidgets import QFileDialog

    (tmp_path / "c.json").write_text("{}")
    name = str(tmp_path / "c.json")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (name, ""))
    table.buttons["load ..."].click()
    assert "corrections were expected" in table.status.text()


def test_corrections_without_a_picked_spine_ask_for_one(table):
    table.select([])
    for call in (table.retype, table.reject, table.merge, table.split):
        call()
        assert table.status.text().startswith("Pick")
    assert table.corrections == []


def test_a_table_without_spines_is_empty(viewer):
    from nanospine.napari.spine_table import SpineTable

    widget = SpineTable(viewer)
    assert widget.table.rowCount() == 0
    widget.reject()
    widget.close()


def test_a_file_is_opened_in_a_window_of_its_own(viewer, locs, tmp_path, monkeypatch):
    import napari

    from nanospine.napari.__main__ import main

    ns.write(locs, tmp_path / "cell.parquet")
    monkeypatch.setattr(napari, "Viewer", lambda **options: viewer)
    monkeypatch.setattr(napari, "run", lambda: None)
    assert main([str(tmp_path / "cell.parquet")]) == 0
    assert [layer.name for layer in viewer.layers] == ["cell"]


def test_a_file_that_nobody_knows_is_said(viewer, tmp_path, capsys):
    from nanospine.napari.__main__ import main

    (tmp_path / "a.csv").write_text("name,age\nann,5\n")
    assert main([str(tmp_path / "a.csv")]) == 1
    assert capsys.readouterr().err.startswith("nanospine: error: ")
