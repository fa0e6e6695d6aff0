"""The widget of coupling: channels, regions, result as sentence, lines and curve."""

from __future__ import annotations

import numpy as np
import pytest

import nanospine as ns
from nanospine.napari.layers import KEY, localization_layer
from nanospine.napari.layers_coupling import coupling_layers

pytestmark = pytest.mark.filterwarnings("ignore")

BOX = ns.Box((0, 0, 0), (4000, 4000, 600))
PLANTED = 0.5


@pytest.fixture(scope="module")
def synapses():
    rng = np.random.default_rng(3)
    a = rng.uniform((0, 0, 0), (4000, 4000, 600), (300, 3))
    near = a[:100] + rng.normal(0, 25, (100, 3))
    far = rng.uniform((0, 0, 0), (4000, 4000, 600), (100, 3))
    xyz = np.vstack([a, near, far])
    inside = BOX.contains(xyz)
    channel = np.array(["post"] * 300 + ["pre"] * 200)
    return ns.from_arrays(xyz[inside], channel=channel[inside], region=BOX)


@pytest.fixture
def widget(viewer, synapses):
    from nanospine.napari.coupling import SodaWidget

    data, options, kind = localization_layer(synapses, "synapses")
    getattr(viewer, f"add_{kind}")(data, **options)
    made = SodaWidget(viewer)
    made.simulations.value = 19
    return made


def _run(widget, wait):
    widget.start()
    wait(lambda: widget.run_button.enabled and widget.job is not None)


def test_two_channels_of_one_layer_are_chosen_at_once(widget):
    assert (widget.channel_a.value, widget.channel_b.value) == ("post", "pre")
    assert widget.region.choices == ("of the data", "box around the points")


def test_the_planted_share_is_found_and_drawn(widget, viewer, wait, synapses):
    seen = []
    tell = widget._tell
    widget.simulations.value = 99
    widget._tell = lambda stage, fraction: (seen.append(fraction), tell(stage, fraction))
    _run(widget, wait)
    found = viewer.layers["SODA: pairs"].metadata[KEY]
    assert found.coupled_fraction_b_low < PLANTED < found.coupled_fraction_b_high
    assert f"{found.coupled_fraction_b:.1%}" in widget.status.value
    assert "p = 0.01" in widget.status.value
    assert max(seen) > 0
    vectors = viewer.layers["SODA: pairs"].data
    post, pre = synapses.channel("post").xyz_nm, synapses.channel("pre").xyz_nm
    first = viewer.layers["SODA: pairs"].features.iloc[0]
    start, along = vectors[0]
    np.testing.assert_allclose(start[::-1], post[int(first["index_a"])], rtol=1e-5)
    np.testing.assert_allclose((start + along)[::-1], pre[int(first["index_b"])], rtol=1e-5)
    lengths = np.linalg.norm(vectors[:, 1], axis=1)
    np.testing.assert_allclose(
        lengths, viewer.layers["SODA: pairs"].features["distance_nm"], rtol=1e-4, atol=0.01
    )
    assert len(viewer.layers["SODA: coupled, second"].data) == len(found.coupled_b)
    assert len(widget._figure.figure.axes) == 2


def test_drawn_polygons_are_the_region(widget, viewer, wait):
    square = [[300, 500, 500], [300, 500, 3500], [300, 3500, 3500], [300, 3500, 500]]
    viewer.add_shapes([square], shape_type="polygon", name="field")
    widget.region.value = "field"
    _run(widget, wait)
    region = viewer.layers["SODA: pairs"].metadata[KEY].region
    assert region.polygon.size == pytest.approx(3000**2)
    assert region.z_low_nm < 30, region
    assert region.z_high_nm > 570


def test_the_box_and_an_envelope_are_regions(widget, viewer, wait, found):
    from nanospine.napari.coupling import layer_region
    from nanospine.napari.layers import envelope_layer

    data, options, _ = envelope_layer(found.envelope)
    layer = viewer.add_surface(data, **options)
    assert "envelope" in widget.region.choices
    region = layer_region(layer, np.zeros((2, 3)))
    assert region.size == pytest.approx(found.envelope.volume_nm3)
    widget.region.value = "box around the points"
    _run(widget, wait)
    box = viewer.layers["SODA: pairs"].metadata[KEY].region
    assert box.size < BOX.size


def test_two_layers_are_two_channels(widget, viewer, wait, synapses):
    for name in ("post", "pre"):
        data, options, _ = localization_layer(synapses.channel(name), name)
        viewer.add_points(data, **options)
    widget.layer.value, widget.other.value = "post", "pre"
    widget.channel_a.value = widget.channel_b.value = "all"
    _run(widget, wait)
    assert "SODA: pairs" in viewer.layers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channel_a": "pre"}, "compares two channels"),
        ({"radii": "50:10:5"}, "rising distances"),
        ({"radii": "many"}, "rising distances"),
    ],
    ids=["same channel twice", "falling radii", "no numbers"],
)
def test_what_is_wrong_is_said(widget, change, message):
    for name, value in change.items():
        getattr(widget, name).value = value
    widget.start()
    assert message in widget.status.value
    assert widget.job is None


def test_it_can_be_stopped(widget, wait, viewer):
    widget.simulations.value = 50_000
    widget.start()
    widget.stop()
    wait(lambda: widget.run_button.enabled)
    assert widget.status.value == "stopped"
    assert len(viewer.layers) == 1


def test_without_pairs_there_are_no_lines(synapses):
    far = ns.from_arrays(synapses.channel("pre").xyz_nm + np.array([0, 0, 5000]))
    near = synapses.channel("post")
    both = ns.Box((0, 0, 0), (4000, 4000, 6000))
    found = ns.soda(near, far, [50, 100], region=both, n_simulations=0)
    assert coupling_layers(found, near, far) == []
