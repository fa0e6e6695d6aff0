"""`nanospine ripley`: what it writes and says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trimesh
from typer.testing import CliRunner, Result

import nanospine as ns
from nanospine.cli.app import app
from nanospine.core.errors import WriteError

FIELD = ns.Box((0, 0), (3000, 2000))


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["ripley", *map(str, words)])


def answer(*words: object) -> Any:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Two channels, half of the second beside the first."""
    locs = ns.simulate.synapses(
        FIELD, n_pre=60, n_post=60, coupled_fraction=0.5, distance_nm=50, distance_std_nm=10, seed=1
    )
    path = tmp_path / "pair.parquet"
    ns.write(locs, path)
    return path


def test_a_folder_holds_tables_figure_and_summary(pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"
    words = (pair, "--channel", "pre", "--other", "post", "--radii", "20:200:20", "--seed", 3,
             "--simulations", 39, "--out", out)  # fmt: skip
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert "L_cross, correction translation" in result.stdout
    assert "0.025 (rank)" in result.stdout
    assert sorted(item.name for item in out.iterdir()) == [
        "ripley.csv", "ripley.json", "ripley.parquet", "ripley.png"]  # fmt: skip
    table = pd.read_parquet(out / "ripley.parquet")
    pd.testing.assert_frame_equal(table, pd.read_csv(out / "ripley.csv"))
    locs = ns.read(pair)
    test = ns.simulation_envelope(
        locs.channel("pre"), "L", np.arange(20.0, 201, 20), other=locs.channel("post"), seed=3,
        n_simulations=39,
    )  # fmt: skip
    pd.testing.assert_frame_equal(table, test.to_frame())
    summary = json.loads((out / "ripley.json").read_text())
    assert summary["p_value"] == test.p_value
    assert (summary["n_points"], summary["n_other"]) == (60, 60)
    assert (out / "ripley.png").read_bytes()[:4] == b"\x89PNG"
    again = call(*words)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert call(*words, "--overwrite").exit_code == 0


@pytest.mark.parametrize("function", ["K", "H", "g", "G", "F", "J"])
def test_every_function_draws_itself(pair: Path, tmp_path: Path, function: str) -> None:
    out = tmp_path / "result"
    said = answer(pair, "--channel", "post", "-f", function, "--simulations", 5, "-o", out)
    assert said["function"] == function
    assert len(said["curve"]) == said["n_radii"] == 50
    assert (out / "ripley.png").stat().st_size > 5000


def test_the_other_channel_is_not_compared_with_itself(pair: Path, tmp_path: Path) -> None:
    words = ("--other", "post", "--simulations", 0, "--radii", "50,100", "-f", "K")
    assert answer(pair, *words) == answer(pair, *words, "--channel", "pre") | {
        "input": "pair.parquet, post"}  # fmt: skip
    ns.write(ns.read(pair).channel("post"), tmp_path / "post.parquet")
    refused = call(tmp_path / "post.parquet", *words)
    assert refused.exit_code == 1
    assert "the only channel" in refused.stderr


def test_a_curve_without_a_test(pair: Path) -> None:
    said = answer(pair, "--channel", "pre", "--simulations", 0, "--radii", "50,100", "-f", "G",
                  "--correction", "none")  # fmt: skip
    assert "p_value" not in said
    assert [row["radius_nm"] for row in said["curve"]] == [50, 100]
    assert "p of MAD" not in call(pair, "--simulations", 0, "--radii", "50").stdout


def test_a_pointwise_band_has_no_p(pair: Path) -> None:
    words = (pair, "--kind", "pointwise", "--simulations", 9, "--radii", "50,100")
    assert answer(*words)["p_value"] is None
    shown = call(*words)
    assert "none (pointwise band)" in shown.stdout
    assert "note: a pointwise band is no test" in shown.stderr


@pytest.mark.parametrize("null", ["labelling", "shift"])
def test_null_models_by_name(pair: Path, null: str) -> None:
    words = (pair, "--channel", "pre", "--other", "post", "--simulations", 19, "--null", null)
    said = answer(*words, "-f", "G", "--radii", "10:100:10")
    assert null in said["null"]
    assert said["p_value"] <= 0.1


def test_clusters_move_as_wholes(tmp_path: Path) -> None:
    path = tmp_path / "clusters.csv"
    generator = np.random.default_rng(0)
    cluster = np.repeat([0, 1, 2], 8)
    points = generator.uniform(100, 900, (3, 2))[cluster] + generator.normal(0, 10, (24, 2))
    table = pd.DataFrame({"x_nm": points[:, 0], "y_nm": points[:, 1], "cluster": cluster})
    table.to_csv(path, index=False)
    words = (path, "--null", "clusters", "--simulations", 9, "--radii", "10:100:10", "-f", "G")
    said = answer(*words)
    assert said["null"] == "shifted clusters"
    assert said["p_value"] > 0.05  # the clusters themselves are part of this null model
    table.drop(columns="cluster").to_csv(path, index=False)
    refused = call(*words)
    assert refused.exit_code == 1
    assert "needs a column 'cluster', found x_nm, y_nm" in refused.stderr


def test_regions_of_files(pair: Path, tmp_path: Path) -> None:
    outline = tmp_path / "field.geojson"
    corners = [[0, 0], [1500, 0], [1500, 2000], [0, 2000]]
    outline.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    words = (pair, "--simulations", 0, "--radii", "50", "-f", "G")
    half = answer(*words, "--region", outline)
    assert 40 < half["n_points"] < 80
    assert any("lie outside the region" in note for note in half["notes"])
    mask = tmp_path / "mask.npy"
    np.save(mask, np.ones((20, 15)))
    assert answer(*words, "--region", mask, "--voxel-nm", "100")["n_points"] == half["n_points"]
    no_size = call(*words, "--region", mask)
    assert no_size.exit_code == 1
    assert "give voxel_nm" in no_size.stderr
    boxed = answer(*words, "--region", "box")
    assert boxed["n_points"] == 120
    assert any("channels post, pre together" in note for note in boxed["notes"])
    missing = call(*words, "--region", tmp_path / "none.ply")
    assert missing.exit_code == 1
    assert "no such file" in missing.stderr


def test_a_mesh_and_a_prism_hold_points_in_space(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(radius=400, subdivisions=2)
    ball.export(tmp_path / "ball.ply")
    outline = tmp_path / "square.geojson"
    corners = [[-400, -400], [400, -400], [400, 400], [-400, 400]]
    outline.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    path = tmp_path / "points.parquet"
    ns.write(ns.from_arrays(ns.MeshRegion(ball).sample_nm(50, 1)), path)
    words = (path, "--simulations", 9, "--radii", "50:150:50", "-f", "G")
    assert answer(*words, "--region", tmp_path / "ball.ply")["n_points"] == 50
    said = answer(*words, "--region", outline, "--z-range-nm", "-400,400")
    assert said["n_points"] == 50
    assert said["p_value"] == 0.1  # a ball in a box: its corners are empty


def test_localizations_that_blink_are_named(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    molecules = FIELD.sample_nm(40, 1)
    points = np.repeat(molecules, 10, axis=0) + generator.normal(0, 5, (400, 2))
    path = tmp_path / "raw.parquet"
    ns.write(ns.from_arrays(points, frame=np.arange(400), precision_nm=5), path)
    said = answer(path, "--simulations", 0, "--radii", "50")
    assert any("link or cluster them first" in note for note in said["notes"])


USAGE = {
    "no file": (),
    "radii fall": ("a.csv", "--radii", "50:10:5"),
    "radii of no step": ("a.csv", "--radii", "1:5:0"),
    "radii of words": ("a.csv", "--radii", "far"),
    "too many radii": ("a.csv", "--radii", "0:1e9:1"),
    "radii below 0": ("a.csv", "--radii=-5,5"),
    "function": ("a.csv", "--function", "M"),
    "null": ("a.csv", "--null", "poisson"),
    "level": ("a.csv", "--level", "2"),
    "simulations": ("a.csv", "--simulations", "-1"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_code_2(case: str) -> None:
    assert call(*USAGE[case]).exit_code == 2


def test_voxels_and_heights_are_checked(pair: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.ones((4, 4)))
    words = (pair, "--region", tmp_path / "mask.npy", "--voxel-nm")
    assert call(*words, "wide").exit_code == 2
    assert call(*words, "1,2,3,4").exit_code == 2


INPUT = {
    "no such file": (("none.csv",), "none.csv"),
    "no such channel": (("{pair}", "--channel", "axon"), "axon"),
    "no such other": (("{pair}", "--other", "axon"), "axon"),
    "correction": (("{pair}", "--correction", "magic"), "correction"),
    "one channel twice": (("{pair}", "--channel", "pre", "--other", "pre"), "the same channel"),
    "points on one line": (("{line}",), "one line, plane or place has no area"),
    "labelling of one": (("{pair}", "--null", "labelling"), "second as other"),
    "too few inside": (("{pair}", "--region", "{empty}"), "inside the region"),
    "out is a file": (("{pair}", "--out", "{pair}"), "is a file"),
}


@pytest.mark.parametrize("case", INPUT)
def test_faults_of_the_input_are_one_sentence(case: str, pair: Path, tmp_path: Path) -> None:
    empty = tmp_path / "elsewhere.geojson"
    empty.write_text('{"type": "Polygon", "coordinates": [[[-9, -9], [-8, -9], [-8, -8]]]}')
    line = tmp_path / "line.csv"
    line.write_text("x_nm,y_nm\n1,1\n1,2\n1,3\n")
    words, says = INPUT[case]
    names = {"pair": pair, "empty": empty, "line": line}
    result = call(*(word.format(**names) for word in words), "--simulations", 5)
    assert result.exit_code == 1, result.output
    assert says in result.stderr
    assert result.stderr.startswith("nanospine: error: ")
    assert "Traceback" not in result.stderr


def test_real_localizations(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "localizations" / "owenlab" / "data_channel2.txt"
    said = answer(path, "--units", "nm", "--radii", "25:100:25", "--simulations", 19,
                  "--out", tmp_path / "result")  # fmt: skip
    assert said["n_points"] == 11696
    assert said["p_value"] == 0.05
    assert said["curve"][1]["observed"] > 90  # clusters of some 50 nm: twice the theory


def test_figures_say_what_they_show(tmp_path: Path) -> None:
    points = FIELD.sample_nm(50, 1)
    test = ns.simulation_envelope(points, "L", np.arange(100, 3001, 100.0), n_simulations=19,
                                  region=FIELD, correction="none")  # fmt: skip
    figure = ns.ripley_figure(test, tmp_path / "a.pdf", title="field 3")
    top, below = figure.axes
    assert "field 3" in top.get_title()
    assert "n = 50, correction none, p = " in top.get_title()
    assert top.get_ylabel() == "L(r) (nm)"
    assert below.get_ylabel() == "L(r) − theory (nm)"
    assert below.get_xlabel() == "distance r (µm)"
    entries = [text.get_text() for text in top.figure.legends[0].get_texts()]
    assert "95 % envelope (extreme rank length), 19 simulations: csr" in entries
    plain = ns.ripley_figure(ns.ripley_k(points, [50, 100], region=FIELD))
    assert plain.axes[0].get_ylabel() == "K(r) (µm²)"
    assert "p " not in plain.axes[0].get_title()
    with pytest.raises(WriteError):
        ns.ripley_figure(test, tmp_path / "none" / "a.png")
