"""The plane of raw numbers: fields are what the rules say, points and intervals what was found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import nanospine as ns
from nanospine.core.colours import TYPE_COLOURS
from nanospine.core.errors import ConfigError, SchemaError, TooFewPointsError
from nanospine.output.continuum import AXES, class_map, continuum_figure
from nanospine.spines.classes import PRESETS, classify


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    head = rng.lognormal(np.log(500), 0.4, 40)
    neck = head / rng.uniform(1, 4, 40)
    length = rng.lognormal(np.log(1000), 0.4, 40)
    frame = pd.DataFrame({
        "type": classify(length, head, neck), "length_nm": length, "head_diameter_nm": head,
        "neck_diameter_nm": neck, "neck_length_nm": length / 2,
        "neck_diameter_low_nm": neck - 10, "neck_diameter_high_nm": neck + 25,
    })  # fmt: skip
    frame.loc[0, ["neck_diameter_nm", "neck_diameter_low_nm", "neck_diameter_high_nm"]] = np.nan
    return frame


@pytest.mark.parametrize("preset", list(PRESETS))
def test_fields_are_what_the_rules_say(table, preset):
    x, y = np.array([90.0, 300.0, 700.0]), np.array([150.0, 620.0, 1100.0])
    fields = class_map(table, "neck_diameter_nm", "head_diameter_nm", x, y, preset)
    length, neck_length = table["length_nm"].median(), table["neck_length_nm"].median()
    for row, head in enumerate(y):
        for column, neck in enumerate(x):
            expected = classify(length, head, neck, neck_length_nm=neck_length, preset=preset)
            assert fields[row, column] == expected


def test_points_intervals_and_colours(table, tmp_path):
    figure = continuum_figure(table, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    first = figure.axes[0]
    drawn = {line.get_color(): line for line in first.lines if line.get_marker() == "o"}
    for kind in ("thin", "mushroom"):
        part = table[table["type"] == kind]
        line = drawn[TYPE_COLOURS[kind]]
        np.testing.assert_array_equal(line.get_xdata(), part["neck_diameter_nm"])
        np.testing.assert_array_equal(line.get_ydata(), part["head_diameter_nm"])
    bars = [item for item in first.collections if item.get_label() != "" and item.get_alpha()]
    segments = [s for item in bars for s in getattr(item, "get_segments", list)()]
    widths = sorted(abs(s[1, 0] - s[0, 0]) for s in segments if len(s) == 2 and s[0, 1] == s[1, 1])
    assert len(widths) == 39
    assert widths == pytest.approx([35.0] * 39)
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert f"thin ({(table['type'] == 'thin').sum()})" in labels
    assert to_rgb(drawn[TYPE_COLOURS["thin"]].get_color()) == to_rgb(TYPE_COLOURS["thin"])


def test_spines_as_found(found):
    assert len(ns.continuum_figure(found).axes) == 3


def test_what_cannot_be_drawn(table):
    with pytest.raises(SchemaError, match="missing: neck_length_nm"):
        continuum_figure(table.drop(columns="neck_length_nm"))
    with pytest.raises(TooFewPointsError, match="no spines"):
        continuum_figure(table[:0])
    with pytest.raises(ConfigError, match="unknown rule set"):
        continuum_figure(table, preset="mine")


def test_unmeasured_numbers_leave_fields_that_need_none(table):
    nothing = table.assign(**dict.fromkeys(AXES, np.nan))
    assert len(continuum_figure(nothing).axes) == 3
