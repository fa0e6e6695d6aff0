"""`ns.render` and its relatives: sizes, colours, marks, movies, the figure of types."""

from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.image import imread
from PIL import Image

import nanospine as ns
from nanospine.core.colours import TYPE_COLOURS, rgb
from nanospine.core.errors import ConfigError, SchemaError, TooFewPointsError
from nanospine.output.raster import Surface, compose
from nanospine.output.raster_camera import Camera
from nanospine.output.render_close import lone_spine
from nanospine.output.render_colours import cube_density_per_um3, point_colours
from nanospine.output.render_figure import spine_rotation
from nanospine.output.render_marks import Pen, draw_ring, ring_nm
from nanospine.output.render_scene import camera_of, stage


@pytest.fixture(scope="module")
def labelled(found, locs):
    table = locs.table.assign(
        spine=found.localization_spine,
        channel=np.where(np.arange(len(locs)) % 2, "homer", "bassoon"),
    )
    return locs.replace(table=table, operation="test")


def _hue(image, colour):
    """Pixels whose colour is the given one, in whatever light."""
    wanted = rgb(colour) / np.linalg.norm(rgb(colour))
    length = np.linalg.norm(image / 255.0, axis=2)
    likeness = (image / 255.0) @ wanted / np.maximum(length, 1e-6)
    return ((likeness > 0.985) & (image.max(axis=2) - image.min(axis=2) > 50)).sum()


def test_spines_have_the_colour_of_their_type(found, tmp_path):
    seen = ns.render(found, width=600, path=tmp_path / "a.png", legend=False, rings=False)
    for spine in found.spines:
        assert _hue(seen.image, TYPE_COLOURS[spine.type]) > 300
    assert _hue(seen.image, TYPE_COLOURS["stubby"]) == 0
    assert imread(tmp_path / "a.png").shape[:2] == seen.image.shape[:2]


def test_the_picture_has_the_size_asked_for(found):
    assert ns.render(found, width=320, height=200).image.shape == (200, 320, 3)


def test_the_scale_bar_is_as_long_as_it_says(shape):
    seen = ns.render(shape.mesh, width=800, camera="top")
    lowest = seen.image[int(seen.camera.height - 1.4 * 10)]  # the bar's row
    dark = (lowest < 60).all(axis=1).sum()
    assert dark * seen.camera.nm_per_pixel == pytest.approx(500, rel=0.03)


@pytest.mark.parametrize("colour_by", ["depth", "density", "channel", "precision", "type"])
def test_localizations_in_every_colour(found, labelled, colour_by):
    seen = ns.render(found, labelled, colour_by=colour_by, width=400)
    bare = ns.render(found, width=400)
    assert (seen.image != bare.image).any(axis=2).mean() > 0.02


def test_every_localization_is_drawn_where_it_is(labelled):
    few = labelled.select(np.arange(0, len(labelled), 400))
    seen = ns.render(None, few, width=500, legend=False)
    place = seen.camera.project(few.xyz_nm)
    for column, row in place[:, :2].astype(int):
        assert (seen.image[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] < 230).any()


def test_two_dimensional_localizations_are_drawn():
    flat = ns.from_arrays(np.random.default_rng(0).random((500, 2)) * 1000)
    assert (ns.render(None, flat, width=200).image < 200).any()


def test_pairs_are_lines_between_their_places(shape):
    pairs = np.array([[[500.0, 0, 900], [2000, 0, 900]]])
    with_line = ns.render(shape.mesh, width=300, pairs_nm=pairs, camera="top")
    without = ns.render(shape.mesh, width=300, camera="top")
    changed = (with_line.image != without.image).any(axis=2)
    x, y = with_line.camera.project(pairs[0])[:, :2].mean(axis=0).astype(int)
    assert changed[y - 1 : y + 2, x].any()
    assert 50 < changed.sum() < 1500


def _spine(line, diameter_nm, position_nm):
    found = SimpleNamespace(diameter_nm=diameter_nm, position_nm=position_nm)
    return SimpleNamespace(centreline_nm=line, neck=SimpleNamespace(constriction=found))


@given(arrays(float, 3, elements=st.floats(-1, 1)), st.floats(20, 900))
def test_the_ring_has_the_diameter_of_the_neck_and_stands_across_it(way, position_nm):
    assume(np.linalg.norm(way) > 0.1)
    way = way / np.linalg.norm(way)
    line = np.linspace(0, 1000, 40)[:, None] * way + [1e4, -300, 70]
    ring = ring_nm(_spine(line, 120.0, position_nm))
    rest = ring - (line[0] + position_nm * way)
    np.testing.assert_allclose(np.linalg.norm(rest, axis=1), 60.0, rtol=1e-6)
    np.testing.assert_allclose(rest @ way, 0.0, atol=1e-6)


def test_a_hidden_ring_is_drawn_faintly():
    from matplotlib.figure import Figure

    line = np.linspace(0, 1000, 40)[:, None] * [0.0, 0.6, 0.8]
    camera = Camera(np.eye(3), line.mean(axis=0), 10.0, 200, 200)
    shown = {}
    for name, depth in (("before", -1e4), ("behind", 1e4)):
        axes = Figure().add_subplot()
        wall = np.full((200, 200), depth, dtype=np.float32)
        draw_ring(axes, _spine(line, 120.0, 500.0), camera, wall, Pen(10.0))
        shown[name] = (len(axes.lines), axes.texts[0].get_text(), axes.texts[0].get_alpha())
    assert shown == {"before": (2, "120", 1.0), "behind": (1, "120", 0.55)}


def test_numbers_of_rings_do_not_lie_on_each_other():
    from matplotlib.figure import Figure

    line = np.linspace(0, 1000, 40)[:, None] * [1.0, 0.0, 0.0]
    camera = Camera(np.eye(3), line.mean(axis=0), 10.0, 200, 200)
    axes = Figure().add_subplot()
    for _ in range(3):
        draw_ring(axes, _spine(line, 120.0, 500.0), camera, None, Pen(10.0))
    places = np.array([text.get_position() for text in axes.texts])
    assert np.abs(places[:, None] - places).max(axis=2)[np.triu_indices(3, 1)].min() > 10
    wall = np.full((200, 200), 1e4, dtype=np.float32)
    for _ in range(3):  # hidden ones yield
        draw_ring(axes, _spine(line, 120.0, 500.0), camera, wall, Pen(10.0))
    assert len(axes.texts) == 4


def test_no_ring_without_a_measured_neck(shape):
    spines = ns.find_spines(shape.mesh, ns.from_arrays(shape.mesh.vertices))
    assert ring_nm(spines.spines[0]) is None
    ns.render(spines, width=200)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"camera": "front"}, ConfigError, "found 'front'"),
        ({"opacity": 1.5}, ConfigError, "between 0 and 1; found 1.5"),
        ({"width": 4}, ConfigError, "at least 16 pixels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(shape, options, error, message):
    with pytest.raises(error, match=message):
        ns.render(shape.mesh, **options)


def test_nothing_to_draw_is_said():
    with pytest.raises(TooFewPointsError, match="no surface and no localization"):
        ns.render(None)


@pytest.mark.parametrize(
    ("colour_by", "message"),
    [("type", "column spine"), ("channel", "no column channel"), ("precision", "precision_x_nm"),
     ("age", "one of depth, density")],
)  # fmt: skip
def test_colours_that_localizations_lack(shape, colour_by, message):
    bare = ns.from_arrays(np.random.default_rng(0).random((100, 3)) * 500)
    with pytest.raises(SchemaError, match=message):
        ns.render(shape.mesh, bare, colour_by=colour_by)


def test_density_of_even_points_and_a_dense_ball():
    random = np.random.default_rng(5)
    even = random.random((20_000, 3)) * 2000
    ball = random.normal(size=(5000, 3)) * 60 + 1000
    density = cube_density_per_um3(np.vstack([even, ball]))
    centre = np.linalg.norm(ball - 1000, axis=1) < 40
    true = 5000 / ((2 * np.pi) ** 1.5 * 0.06**3)
    assert density[20_000:][centre].mean() == pytest.approx(true, rel=0.65)
    far = np.linalg.norm(even - 1000, axis=1) > 700
    assert np.median(density[:20_000][far]) == pytest.approx(2500, rel=0.6)
    assert cube_density_per_um3(np.zeros((0, 3))).shape == (0,)


def test_density_keeps_its_memory_in_wide_fields():
    wide = np.random.default_rng(0).random((1000, 3)) * [1e6, 1e6, 1e3]
    assert np.isfinite(cube_density_per_um3(wide)).all()


def test_localizations_without_a_channel_are_grey(labelled):
    channel = labelled.table["channel"].where(np.arange(len(labelled)) > 10)
    colours = point_colours(
        labelled.replace(table=labelled.table.assign(channel=channel), operation="t"), "channel"
    )
    assert set(colours.shade[:11]) == {2}
    assert colours.names == ("bassoon", "homer")


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_turntable_turns(found, tmp_path, suffix):
    path = tmp_path / f"turn{suffix}"
    ns.turntable(found, path, n_frames=5, seconds=1.0, width=160)
    with Image.open(path) as movie:
        assert movie.n_frames == 5
        frames = []
        for number in range(5):
            movie.seek(number)
            frames.append(np.asarray(movie.convert("RGB"), dtype=int))
    for one, other in itertools.pairwise(frames):
        assert np.abs(one - other).mean() > 1
    # The sample is inside the frame from every side
    for frame in frames:
        assert (frame[:, [0, -1]] > 240).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [("a.avi", {}, "found '.avi'"), ("a.gif", {"n_frames": 1}, "at least 2 frames"),
     ("a.gif", {"colour": "x"}, "no option colour")],
)  # fmt: skip
def test_movies_that_cannot_be_made(found, tmp_path, name, options, message):
    with pytest.raises(ConfigError, match=message):
        ns.turntable(found, tmp_path / name, **options)


def test_mp4_without_an_encoder_says_what_to_install(found, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ConfigError, match=r'pip install "nanospine\[render\]"'):
        ns.turntable(found, tmp_path / "turn.mp4", n_frames=3, width=64)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of the library's pipe
def test_mp4_with_an_encoder(found, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="extra [render] is not installed")
    ns.turntable(found, tmp_path / "turn.mp4", n_frames=6, seconds=2.0, width=128, height=96)
    frames = ffmpeg.read_frames(str(tmp_path / "turn.mp4"))
    about = next(frames)
    assert about["size"] == (128, 96)
    assert about["fps"] == pytest.approx(3.0)
    assert about["codec"] == "h264"
    assert about["pix_fmt"].startswith("yuv420p")  # what every player shows
    pictures = [np.frombuffer(frame, np.uint8).astype(int) for frame in frames]
    assert len(pictures) == 6
    assert all(picture.std() > 5 for picture in pictures)
    assert np.abs(pictures[0] - pictures[3]).mean() > 1
    # The index stands before the pictures: it plays while it loads
    content = (tmp_path / "turn.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_the_figure_of_types(found, tmp_path, suffix):
    path = tmp_path / f"types{suffix}"
    figure = ns.type_figure(found, path, dpi=80)
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {spine.type for spine in found.spines} <= texts
    assert any(text.startswith("neck ") for text in texts)
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(174, abs=0.5)
    assert path.stat().st_size > 5000


def test_no_figure_of_no_types(shape):
    empty = ns.find_spines(trimesh.creation.icosphere(radius=300), None)
    with pytest.raises(TooFewPointsError, match="no spines"):
        ns.type_figure(empty)


def test_spines_stand_upright_in_their_pictures(found):
    for spine in found.spines:
        rotation = spine_rotation(spine, found)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        tip = rotation @ (spine.centreline_nm[-1] - spine.centreline_nm[0])
        assert tip[1] > 0.99 * np.linalg.norm(tip)


def test_a_spine_alone_has_no_holes_where_its_neighbours_were(found):
    scene = stage(found, shaft_opacity=1.0)
    whole = found.envelope.volume
    for spine in found.spines:
        base, tip = spine.centreline_nm[0], spine.centreline_nm[-1]
        camera = Camera(spine_rotation(spine, found), base, 100.0, 100, 100)
        alone = lone_spine(spine, found, scene, camera, 1e9)
        mesh = trimesh.Trimesh(alone.vertices_nm, alone.faces)
        assert mesh.is_volume  # closed, and every triangle turned outward
        assert 0.5 * whole < mesh.volume < whole
        for other in found.spines:
            gone = np.linalg.norm(mesh.vertices - other.centreline_nm[-1], axis=1).min() > 100
            assert gone == (other.id != spine.id), (spine.id, other.id)
        assert np.linalg.norm(mesh.vertices - tip, axis=1).min() < 100


def test_what_stands_before_a_plane_is_cut_to_a_section():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=100.0)
    xyz, faces = np.array(ball.vertices), np.array(ball.faces)
    blue = np.tile([0.0, 0.0, 1.0], (len(xyz), 1))
    camera = Camera(np.eye(3), np.zeros(3), 2.0, 120, 120)
    item = Surface(xyz, faces, blue, np.array(ball.vertex_normals), nearest_nm=60.0)
    picture = compose([item], None, camera)
    rows, columns = np.indices((120, 120))
    far = 2.0 * np.hypot(rows - 59.5, columns - 59.5)
    inner, rim = far < 76, (far > 84) & (far < 95)  # the section has a radius of 80 nm
    np.testing.assert_allclose(picture.depth[inner], 60.0)
    np.testing.assert_allclose(picture.depth[rim], np.sqrt(1e4 - far[rim] ** 2), atol=5.0)
    grey = picture.image[inner]
    assert np.ptp(grey, axis=0).max() < 0.02  # flat
    assert (picture.image[rim][:, 2] > picture.image[rim][:, 0] + 0.2).all()
    assert (picture.image[far > 104] == 1.0).all()


def test_an_own_camera_is_used_as_it_is(found):
    camera = camera_of("top", stage(found), 200, 100)
    assert ns.render(found, camera=camera, width=999).image.shape == (100, 200, 3)
