"""`nanospine view` and `nanospine report` as a user calls them."""

from __future__ import annotations

import importlib.util
import json
import webbrowser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app
from nanospine.cli.run import execute
from nanospine.config import RunConfig
from nanospine.output.corrections import Correction, write_corrections


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    shape = ns.simulate.dendrite(2500, ["mushroom", "thin"], seed=3, voxel_nm=35)
    locs = ns.simulate.localize(shape, density_per_um2=250, seed=2)
    path = tmp_path_factory.mktemp("data") / "cell.parquet"
    ns.write(locs, path)
    return path


@pytest.fixture(scope="module")
def run_folder(table):
    folder = table.parent / "results"
    asked = {"input": {"path": str(table)}, "output": {"folder": str(folder)}}
    execute(RunConfig.from_dict(asked), json=True)
    return folder


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (("--show", "points", "--width", 300, "--height", 200), (300, 200)),
        (("--show", "envelope", "--width", 300, "--camera", "30,40", "--dark"), None),
    ],
    ids=["points", "envelope"],
)
def test_a_picture_of_a_file(table, tmp_path, options, size):
    result = call("view", table, "--png", tmp_path / "a.png", *options)
    assert result.exit_code == 0, result.output
    image = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    assert image.std() > 5
    assert size is None or image.shape[:2] == size[::-1]


def test_a_picture_of_a_run_with_spines_in_their_colours(run_folder, tmp_path):
    options = ("--width", 300, "--camera", "tilted", "--colour-by", "type")
    result = call("view", run_folder, "--png", tmp_path / "a.png", *options)
    assert result.exit_code == 0, result.output
    assert np.asarray(Image.open(tmp_path / "a.png")).std() > 5


def test_a_movie_of_points(table, tmp_path):
    result = call("view", table, "--show", "points", "--png", tmp_path / "a.gif", "--width", 64)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a.gif") as movie:
        assert movie.n_frames == 48


def test_two_dimensional_data_are_drawn_from_above(tmp_path):
    flat = ns.from_arrays(np.random.default_rng(0).random((300, 2)) * 1000)
    ns.write(flat, tmp_path / "flat.parquet")
    result = call("view", tmp_path / "flat.parquet", "--png", tmp_path / "a.png", "--width", 200)
    assert result.exit_code == 0, result.output
    assert "2-D" in result.output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--png", "a.png", "--camera", "1,2,3"), 1, "AZIMUTH,ELEVATION are two numbers"),
        (("--png", "a.png", "--camera", "front", "--show", "points"), 1, "found 'front'"),
        (("--png", "a.png", "--colour-by", "age"), 2, "age"),
    ],
)
def test_what_cannot_be_drawn(table, tmp_path, words, code, message):
    words = [tmp_path / word if word == "a.png" else word for word in words]
    result = call("view", table, *words)
    assert result.exit_code == code
    assert message in result.output
    assert not (tmp_path / "a.png").exists()


@pytest.fixture
def opened(monkeypatch):
    """Addresses that the browser was sent to."""
    found = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(found.append(address)) or True)
    return found


@pytest.fixture
def without_napari(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *more: find(name, *more) if name != "napari" else None,
    )


def test_a_run_is_opened_in_the_browser_where_there_is_no_napari(
    run_folder, opened, without_napari
):
    assert call("view", run_folder).exit_code == 0
    assert call("view", run_folder / "report.html").exit_code == 0
    assert opened == 2 * [(run_folder / "report.html").as_uri()]


def test_a_table_becomes_a_report_where_there_is_no_napari(
    table, opened, without_napari, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = call("view", table, "--precision-nm", "10,10,20")
    assert result.exit_code == 0, result.output
    assert "pip install 'nanospine[napari]'" in result.output
    (page,) = opened
    assert page.startswith(tmp_path.as_uri())
    assert "cell.parquet" in (next(tmp_path.glob("*/*/report.html"))).read_text()


def test_a_report_that_is_not_there_is_said(tmp_path, without_napari):
    (tmp_path / "run.json").write_text("{}")
    result = call("view", tmp_path)
    assert (result.exit_code, "nanospine report" in result.output) == (1, True)


def test_no_browser_is_said(run_folder, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    result = call("view", run_folder / "report.html")
    assert result.exit_code == 0
    assert "no browser was found" in result.output


def test_napari_is_started_in_a_process_of_its_own(table, run_folder, monkeypatch):
    started = []

    def run(words, check):
        started.append(words[1:])
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("subprocess.run", run)
    for place in (table, run_folder):
        assert call("view", place).exit_code == 1
    assert started == [["-m", "nanospine.napari", str(item)] for item in (table, run_folder)]


def test_a_missing_file_is_said(tmp_path):
    result = call("view", tmp_path / "none.csv")
    assert (result.exit_code, "no such file" in result.output) == (1, True)


def test_the_report_again_with_statistics_and_corrections(run_folder, tmp_path):
    (run_folder / "statistics").mkdir(exist_ok=True)
    radii = np.arange(10.0, 60, 10)
    pd.DataFrame({"radius_nm": radii, "L": radii, "theory": radii}).to_csv(
        run_folder / "statistics" / "ripley_l.csv", index=False
    )
    before = (run_folder / "report.html").read_text()
    result = call("report", run_folder, "--json", "--out", tmp_path / "a.html")
    assert result.exit_code == 0, result.output
    assert "ripley l" in (tmp_path / "a.html").read_text()
    write_corrections([Correction("reject", 0)], tmp_path / "c.json")
    result = CliRunner().invoke(
        app, ["report", str(run_folder), "--json", "--corrections", str(tmp_path / "c.json")]
    )
    told = json.loads(result.stdout)
    assert told["n_corrections"] == 1
    assert told["n_spines"] == len(pd.read_parquet(run_folder / "spines.parquet")) - 1
    assert told["report"].endswith("report-corrected.html")
    assert (run_folder / "report.html").read_text() == before


def test_a_run_without_its_report_is_analysed_again(run_folder, tmp_path):
    (run_folder / "report.html").rename(tmp_path / "kept.html")
    result = CliRunner().invoke(app, ["report", str(run_folder), "--json"])
    assert result.exit_code == 0, result.output
    assert (run_folder / "report.html").is_file()
    stored = pd.read_parquet(run_folder / "spines.parquet")
    assert json.loads(result.stdout)["n_spines"] == len(stored)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    result = call("report", tmp_path)
    assert result.exit_code == 1
    assert "there is no run.json" in result.output
