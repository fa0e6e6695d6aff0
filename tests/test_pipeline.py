"""One run from a file to a folder: what is written, and that it is whole or not there."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trimesh

import nanospine as ns
from nanospine.config import RunConfig
from nanospine.core.errors import SchemaError, TooFewPointsError, WriteError
from nanospine.pipeline import RunResult, analyse, run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="module")
def shape() -> Any:
    return ns.simulate.dendrite(3000, ["mushroom", "thin"], seed=2)


@pytest.fixture(scope="module")
def table(place: Path, shape: Any) -> Path:
    """A small dendrite as a ThunderSTORM table."""
    path = place / "cell1.csv"
    ns.write(ns.simulate.localize(shape, density_per_um2=600, seed=2), path)
    return path


def configuration(path: Path, folder: Path, **sections: Any) -> RunConfig:
    return RunConfig.from_dict(
        {"input": {"path": str(path)}, "output": {"folder": str(folder)}} | sections
    )


@pytest.fixture(scope="module")
def finished(table: Path, place: Path) -> RunResult:
    return run(configuration(table, place / "results"))


@pytest.fixture
def ball(tmp_path: Path) -> Path:
    """A hollow ball: localizations without a dendrite."""
    path = tmp_path / "ball.csv"
    mesh = trimesh.creation.icosphere(radius=500.0)
    ns.write(ns.simulate.localize(mesh, density_per_um2=500, background_fraction=0), path)
    return path


def test_every_output_is_there_and_nothing_else(finished: RunResult, place: Path) -> None:
    names = {item.relative_to(finished.folder).as_posix() for item in finished.folder.rglob("*")}
    necks = {f"necks/spine_{number:03d}.png" for number in range(len(finished.spines))}
    assert len(necks) == 2
    assert names == necks | {
        "spines.csv", "spines.parquet", "localizations.parquet", "envelope.glb", "envelope.ply",
        "spines.glb", "spines.ply", "overview.png", "necks", "report.html", "run.json",
        "profiles.parquet",
    }  # fmt: skip
    assert {item.name for item in place.iterdir()} == {"cell1.csv", "results"}


def test_planted_spines_are_in_the_table(finished: RunResult, shape: Any) -> None:
    written = pd.read_csv(finished.folder / "spines.csv")
    assert sorted(written["type"]) == sorted(shape.truth.spines["type"])
    exact = pd.read_parquet(finished.folder / "spines.parquet")
    pd.testing.assert_frame_equal(exact, finished.spines.table, check_dtype=False)
    np.testing.assert_allclose(written["length_nm"], exact["length_nm"])


def test_profiles_are_those_of_the_necks(finished: RunResult) -> None:
    written = pd.read_parquet(finished.folder / "profiles.parquet")
    assert set(written["spine"]) == {0, 1}
    for number, row in written.groupby("spine"):
        neck = finished.spines.spines[int(number)].neck
        np.testing.assert_array_equal(row["diameter_nm"], neck.diameter_nm)
        np.testing.assert_array_equal(row["n_molecules"], neck.n_molecules)
    assert (
        written["diameter_nm"]
        .between(written["low_nm"], written["high_nm"])[written["low_nm"].notna()]
        .mean()
        > 0.95
    )


def test_every_localization_has_its_spine(finished: RunResult, table: Path) -> None:
    written = ns.read(finished.folder / "localizations.parquet")
    np.testing.assert_array_equal(written.xyz_nm, ns.read(table).xyz_nm)
    number = written.table["spine"].to_numpy()
    assert set(number) == {-2, -1, 0, 1}
    for row in finished.spines.table.itertuples():
        assert (number == row.spine).sum() == row.n_localizations
        tip = np.array([row.tip_x_nm, row.tip_y_nm, row.tip_z_nm])
        nearest = np.linalg.norm(written.xyz_nm - tip, axis=1).argsort()[:20]
        assert np.median(number[nearest]) == row.spine
    assert [step["operation"] for step in written.history][-2:] == ["find_spines", "read"]


def test_meshes_and_pictures_open(finished: RunResult) -> None:
    assert trimesh.load_mesh(finished.folder / "envelope.ply").is_watertight
    for picture in finished.folder.rglob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_run_json_says_what_was_done_with_what(finished: RunResult, table: Path) -> None:
    said = json.loads((finished.folder / "run.json").read_text(encoding="utf-8"))
    assert said["input"]["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert RunConfig.from_dict(said["config"]) == finished.config
    assert said["versions"]["nanospine"] == ns.__version__
    assert said["n_spines"] == 2
    assert {"read", "envelope", "spines", "write"} <= set(said["timings_s"])
    operations = [step["operation"] for step in said["history"]]
    assert operations[0] == "read"
    assert operations[-2:] == ["envelope", "find_spines"]


def test_the_same_input_gives_the_same_numbers(finished: RunResult, table: Path) -> None:
    again = analyse(ns.read(table), finished.config)
    pd.testing.assert_frame_equal(again.spines.table, finished.spines.table)


def test_no_spine_is_a_result_like_any_other(ball: Path, tmp_path: Path) -> None:
    result = run(configuration(ball, tmp_path / "out"))
    assert len(result.spines) == 0
    assert any("No shaft with spines was found" in note for note in result.notes)
    assert (tmp_path / "out" / "envelope.ply").is_file()
    assert (tmp_path / "out" / "overview.png").is_file()
    assert "No shaft with spines was found" in (tmp_path / "out" / "report.html").read_text()
    assert list(pd.read_csv(tmp_path / "out" / "spines.csv").columns)[:2] == ["spine", "type"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), WriteError),
        (ZeroDivisionError(), ZeroDivisionError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=lambda item: type(item).__name__,
)
def test_a_crash_while_writing_leaves_nothing(
    error: BaseException,
    expected: type[BaseException],
    ball: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr("nanospine.output.render.overview", lambda *_: None)  # to be quick
    monkeypatch.setattr("nanospine.output.report.write_report", fail)
    with pytest.raises(expected):
        run(configuration(ball, tmp_path / "out"))
    assert {item.name for item in tmp_path.iterdir()} == {"ball.csv"}


def test_an_occupied_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}")
    with pytest.raises(WriteError, match="already holds a result"):
        run(configuration(tmp_path / "no-such-file.csv", tmp_path / "out"))


def shell(radius_nm: float, n: int, seed: int) -> np.ndarray[Any, Any]:
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return radius_nm * points / np.linalg.norm(points, axis=1, keepdims=True)


def test_filters_and_channel_choose_what_is_wrapped(tmp_path: Path) -> None:
    inner, outer, dim = shell(300, 2000, 0), shell(600, 2000, 1), shell(900, 500, 2)
    locs = ns.from_arrays(
        np.vstack([inner, outer, dim]),
        channel=["inner"] * 2000 + ["outer"] * 2000 + ["inner"] * 500,
        photons=np.repeat([1000, 100], [4000, 500]),
    )
    config = configuration(
        tmp_path / "unused.csv",
        tmp_path / "out",
        filter=[{"column": "photons", "min": 500}],
        envelope={"channel": "inner"},
    )
    found = analyse(locs, config)
    assert found.envelope.volume_nm3 == pytest.approx(4 / 3 * np.pi * 300**3, rel=0.05)
    assert len(found.localizations) == 4000
    assert set(found.localizations.table["spine"]) == {-2}
    together = analyse(locs, configuration(tmp_path / "unused.csv", tmp_path / "out"))
    assert any("'inner', 'outer' were taken together" in note for note in together.notes)


def test_without_an_axial_precision_no_neck_is_measured_and_a_note_says_so(table: Path) -> None:
    locs = ns.read(table)
    bare = locs.replace(table=locs.table.drop(columns="precision_z_nm"), operation="drop")
    found = analyse(bare, configuration(table, table.parent / "unused"))
    assert found.spines.table["neck_diameter_nm"].isna().all()
    assert any("--precision-nm" in note for note in found.notes)
    config = configuration(table, table.parent / "unused", spines={"precision_nm": [10, 10, 20]})
    given = analyse(bare, config)
    assert given.spines.table["neck_diameter_nm"].notna().all()
    assert not any("--precision-nm" in note for note in given.notes)


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    locs = ns.from_arrays(shell(500, 100, 0), channel="a", photons=5)
    with pytest.raises(SchemaError, match="its channels: 'a'"):
        analyse(locs, configuration(tmp_path, tmp_path, envelope={"channel": "b"}))
    with pytest.raises(SchemaError, match="no column 'photon'"):
        analyse(locs, configuration(tmp_path, tmp_path, filter=[{"column": "photon"}]))
    with pytest.raises(TooFewPointsError, match="no row has photons"):
        analyse(locs, configuration(tmp_path, tmp_path, filter=[{"column": "photons", "min": 9}]))
