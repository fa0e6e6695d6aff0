"""The demo finds what it planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app
from nanospine.cli.demo import compare

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo"


@pytest.fixture(scope="module")
def said(out: Path) -> Any:
    result = CliRunner().invoke(app, ["demo", "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_planted_spine_is_found_and_no_other(said: Any) -> None:
    table = pd.DataFrame(said["spines"])
    assert table["planted_type"].notna().all()
    assert table["spine"].notna().all()
    assert set(table["planted_type"]) == {"stubby", "thin", "mushroom", "filopodium", "branched"}


def test_every_type_is_right(said: Any) -> None:
    table = pd.DataFrame(said["spines"])
    assert table["type"].tolist() == table["planted_type"].tolist()


def test_the_planted_coupling_is_found_and_shown(said: Any, out: Path) -> None:
    share, distance = pd.read_csv(out / "coupling.csv").to_dict("records")
    assert share["low"] <= share["planted"] <= share["high"]
    assert distance["measured"] == pytest.approx(distance["planted"], rel=0.1)
    rings = pd.read_csv(out / "statistics" / "soda.csv")
    assert rings["low_nm"].is_monotonic_increasing
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "cross L" in page
    assert "significant rings" in page


def test_neck_diameters_are_within_15_percent(said: Any) -> None:
    table = pd.DataFrame(said["spines"])
    ratio = table["neck_diameter_nm"] / table["planted_neck_diameter_nm"]
    assert (np.abs(ratio - 1) < 0.15).all(), ratio.tolist()


def test_the_folder_has_its_input_and_the_truth(said: Any, out: Path) -> None:
    locs = ns.read(out / "simulated.parquet")
    assert set(locs.channels) == {"membrane", "pre", "post"}
    assert len(pd.read_csv(out / "truth.csv")) == len(pd.read_csv(out / "spines.csv"))
    assert (out / "report.html").is_file()
    assert said["input"]["name"] == "simulated.parquet"


def test_a_demo_never_replaces_a_result_that_is_no_demo(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "already holds a result" in result.stderr
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]


def frame(**columns: list[Any]) -> pd.DataFrame:
    n = len(columns["type"])
    rest = {name: [0.0] * n for name in ("tip_y_nm", "tip_z_nm")}
    sizes = dict.fromkeys(("length_nm", "neck_diameter_nm", "head_diameter_nm"), [100.0] * n)
    return pd.DataFrame(columns | rest | sizes)


def test_compare_pairs_by_tip_and_shows_what_is_missing_and_extra() -> None:
    truth = frame(type=["thin", "stubby", "mushroom"], tip_x_nm=[0.0, 1000.0, 5000.0])
    found = frame(
        type=["stubby", "thin", "branched"], tip_x_nm=[1010.0, 20.0, 9000.0], spine=[0, 1, 2]
    )
    table = compare(found, truth)
    assert table["planted_type"].tolist()[:3] == ["thin", "stubby", "mushroom"]
    assert table["type"].fillna("none").tolist() == ["thin", "stubby", "none", "branched"]
    assert table["planted_type"].isna().tolist() == [False, False, False, True]
    nothing = compare(found.iloc[:0], truth)
    assert nothing["type"].isna().all()
