"""The widget of voxels: volume and labels lie where the sample is, labels come back on points."""

from __future__ import annotations

import numpy as np
import pytest

from nanospine.napari.layers import KEY, envelope_layer, localization_layer

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def viewer(window):
    """napari without its canvas: drawing volumes asks for OpenGL, which is not everywhere."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def widget(viewer, locs):
    from nanospine.napari.voxels import VoxelWidget

    data, options, _ = localization_layer(locs, "cell")
    viewer.add_points(data, **options)
    made = VoxelWidget(viewer)
    made.voxel_nm.value = 60.0
    return made


def _run(widget, wait):
    widget.start()
    wait(lambda: widget.run_button.enabled and widget.job is not None)


def test_labels_lie_on_the_sample_and_come_back_on_the_localizations(widget, viewer, wait, locs):
    widget.mode.value, widget.method.value = "count", "otsu"
    widget.options_text.value = "sigma_nm=40 scale=all"
    _run(widget, wait)
    layer, labelled = viewer.layers["labels"], viewer.layers["labelled"]
    assert str(layer.units[0]) == "nanometer"
    label = labelled.metadata[KEY].table["voxel_label"].to_numpy()
    for row in (0, 100, 2000):
        at = tuple(np.round(layer.world_to_data(locs.xyz_nm[row, ::-1])).astype(int))
        assert layer.data[at] == label[row]
    assert (label == 1).mean() > 0.8
    assert viewer.layers["voxels"].data.sum() == len(locs)
    assert "1 × dendrite" in widget.status.value


def test_an_envelope_is_segmented_without_localizations(widget, viewer, wait, found):
    data, options, _ = envelope_layer(found.envelope)
    viewer.add_surface(data, **options)
    widget.layer.value = "envelope"
    widget.method.value = "opening"
    _run(widget, wait)
    labels = viewer.layers["labels"].metadata[KEY]
    assert len(labels.of_role("spine")) >= 1
    assert "labelled" not in viewer.layers
    assert viewer.layers["labels"].features["role"][1] == "shaft"


def test_voxels_alone(widget, viewer, wait):
    widget.method.value = widget.method.choices[0]
    widget.mode.value = "count"
    _run(widget, wait)
    assert [layer.name for layer in viewer.layers] == ["cell", "voxels"]


@pytest.mark.parametrize(
    ("mode", "method", "options", "message"),
    [
        ("count", "otsu", "sigma", "NAME=VALUE"),
        ("count", "otsu", "size_nm=3", "size_nm"),
    ],
    ids=["no value", "unknown option"],
)
def test_what_is_wrong_is_said(widget, wait, mode, method, options, message):
    widget.mode.value, widget.method.value, widget.options_text.value = mode, method, options
    widget.start()
    wait(lambda: widget.run_button.enabled and message in widget.status.value)
