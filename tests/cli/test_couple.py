"""`nanospine couple`: what it writes and says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import nanospine as ns
from nanospine.cli.app import app

FIELD = ns.Box((0, 0), (6000, 6000))


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["couple", *map(str, words)])


def answer(*words: object) -> Any:
    result = call(*words, "--simulations", 99, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels, half of the second beside the first."""
    locs = ns.simulate.synapses(
        FIELD, n_pre=80, n_post=80, coupled_fraction=0.5, distance_nm=50, distance_std_nm=10, seed=1
    )
    path = tmp_path_factory.mktemp("pair") / "pair.parquet"
    ns.write(locs, path)
    return path


def test_a_folder_holds_tables_figure_and_summary(pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"
    words = (f"{pair}:pre", f"{pair}:post", "--radii", "20:100:20", "--out", out)
    assert call(*words, "--simulations", 99).exit_code == 0
    names = {item.name for item in out.iterdir()}
    assert names == {
        "rings.csv", "rings.parquet", "pairs.csv", "pairs.parquet", "objects.csv",
        "objects.parquet", "couple.png", "couple.json",
    }  # fmt: skip
    objects = pd.read_parquet(out / "objects.parquet")
    assert objects["channel"].value_counts().to_dict() == {"a": 80, "b": 80}
    assert objects.loc[objects["coupled"], "partners"].min() > 0
    summary = json.loads((out / "couple.json").read_text())
    assert summary["coupled_fraction_b"] == pytest.approx(0.5, abs=0.12)
    assert summary["mean_distance_nm"] == pytest.approx(50, abs=6)
    assert summary["p_value"] == 0.01
    assert len(pd.read_parquet(out / "rings.parquet")) == 5
    assert {"index_a", "index_b", "distance_nm", "probability"} == set(
        pd.read_parquet(out / "pairs.parquet")
    )
    again = call(*words)
    assert again.exit_code == 1
    assert "--overwrite" in again.output
    assert call(*words, "--overwrite", "--simulations", 19).exit_code == 0


def test_channels_of_one_file_are_the_same_as_two(pair: Path) -> None:
    one = answer(pair, "--channels", "pre,post", "--radii", "40,80")
    two = answer(f"{pair}:pre", f"{pair}:post", "--radii", "40,80")
    assert one["coupled_pairs"] == two["coupled_pairs"]
    assert len(one["rings"]) == 2
    assert one["n_a"] == one["n_b"] == 80


def test_three_channels_make_chains(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    a = rng.uniform(200, 9800, (120, 2))
    b = np.concatenate([a[:60] + np.array([50, 0]), rng.uniform(0, 10_000, (60, 2))])
    c = np.concatenate([b[:40] + np.array([0, 50]), rng.uniform(0, 10_000, (80, 2))])
    path = tmp_path / "three.parquet"
    ns.write(ns.from_arrays(np.concatenate([a, b, c]), channel=np.repeat(["a", "b", "c"], 120)),
             path)  # fmt: skip
    words = ("--radii", "40,60,80,100", "--region", "box")
    one = answer(path, "--channels", "a,b,c", *words)["chains"]
    two = answer(f"{path}:a", f"{path}:b", "--third", f"{path}:c", *words)["chains"]
    assert one == two
    assert one["p_value"] == 0.01
    assert one["expected"] == pytest.approx(40, abs=4)
    assert one["n_only_ab"] == pytest.approx(20, abs=3)
    out = tmp_path / "result"
    said = call(path, "--channels", "a,b,c", *words, "--simulations", 19, "--out", out)
    assert "chains A-B-C" in said.output
    assert len(pd.read_parquet(out / "chains.parquet")) >= 38
    twice = call(path, "--channels", "a,b,c", "--third", f"{path}:c")
    assert twice.exit_code == 2


def test_region_and_uncertain_registration(pair: Path, tmp_path: Path) -> None:
    plain = answer(pair, "--channels", "pre,post", "--radii", "40,80", "--region", "box")
    assert plain["coupled_fraction_b_high"] > plain["coupled_fraction_b"]
    shifted = answer(
        pair, "--channels", "pre,post", "--radii", "40,80", "--region", "box",
        "--registration-error-nm", "20,20",
    )  # fmt: skip
    assert shifted["coupled_pairs_se"] > plain["coupled_pairs_se"]
    ring = [[0, 0], [6000, 0], [6000, 6000], [0, 6000], [0, 0]]
    path = tmp_path / "cell.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    inside = answer(pair, "--channels", "pre,post", "--radii", "40,80", "--region", path)
    assert inside["coupled_pairs"] == pytest.approx(plain["coupled_pairs"], abs=2)


def test_legacy_and_the_words_without_json(pair: Path) -> None:
    old = answer(pair, "--channels", "pre,post", "--radii", "20:100:20", "--legacy", "icy",
                 "--pixel-nm", 20)  # fmt: skip
    assert old["coupled_fraction_b_low"] is None
    assert any("legacy='icy'" in note for note in old["notes"])
    said = call(pair, "--channels", "pre,post", "--radii", "20:100:20", "--simulations", 19)
    assert "coupled of B" in said.output
    assert "nm (" in said.output


def test_blinking_is_a_note_and_no_crash(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        places = np.repeat(rng.uniform(0, 9000, (60, 2)), 5, axis=0) + rng.normal(0, 8, (300, 2))
        ns.write(
            ns.from_arrays(places, precision_nm=8, frame=np.arange(300)), tmp_path / f"{name}.csv"
        )
    found = answer(tmp_path / "a.csv", tmp_path / "b.csv", "--radii", "50,100")
    assert sum("molecules that blink" in note for note in found["notes"]) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("{pair}",), 2, "two channels are needed"),
        (("{pair}", "{pair}", "--channels", "pre,post"), 2, "two channels are needed"),
        (("{pair}", "--channels", "pre"), 2, "two or three different names"),
        (("{pair}", "--channels", "pre,post", "--radii", "80,40"), 2, "rising distances"),
        (("{pair}", "--channels", "pre,psd"), 1, "'psd' is not in the table"),
        (("{pair}", "--channels", "pre,post", "--radii", "100,9000"), 1, "largest radius"),
        (("{pair}:pre", "nothing.csv"), 1, "nothing.csv"),
    ],
)
def test_wrong_words(pair: Path, words: tuple[str, ...], code: int, said: str) -> None:
    result = call(*(word.format(pair=pair) for word in words))
    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.replace("│", " ").split())
