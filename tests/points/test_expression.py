"""Conditions give what pandas and plain Python give, and can run nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, SchemaError, TooFewPointsError
from nanospine.points.expression import evaluate

TABLE = pd.DataFrame(
    {
        "photons": [100.0, 500.0, 900.0, np.nan],
        "frame": np.array([1, 2, 3, 4], dtype=np.uint8),
        "chi2 [1]": [0.5, 1.0, 1.5, 2.0],
        "channel": pd.Categorical(["pre", "post", "pre", None]),
    }
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("photons > 400", [0, 1, 1, 0]),
        ("not photons > 400", [1, 0, 0, 1]),
        ("100 < photons <= 900", [0, 1, 1, 0]),
        ("photons > 400 and frame == 2", [0, 1, 0, 0]),
        ("photons > 800 or frame == 1", [1, 0, 1, 0]),
        ("(photons > 800) | (frame == 1)", [1, 0, 1, 0]),
        ("(photons > 50) & ~(frame == 1)", [0, 1, 1, 0]),
        ("`chi2 [1]` * 2 >= 2", [0, 1, 1, 1]),
        ("frame - 2 < 0", [1, 0, 0, 0]),
        ("frame * 100 > 255", [0, 0, 1, 1]),
        ("frame % 2 == 0", [0, 1, 0, 1]),
        ("sqrt(photons) == 10", [1, 0, 0, 0]),
        ("hypot(frame, 0) == 3", [0, 0, 1, 0]),
        ("isfinite(photons)", [1, 1, 1, 0]),
        ("channel == 'pre'", [1, 0, 1, 0]),
        ("channel != 'pre'", [0, 1, 0, 1]),
        ("channel in ('pre', 'post')", [1, 1, 1, 0]),
        ("frame not in (1, 2)", [0, 0, 1, 1]),
        ("-photons < -400", [0, 1, 1, 0]),
        ("photons > 1e2 and photons < frame ** 2 * 1e3", [0, 1, 1, 0]),
    ],
)
def test_conditions(expression: str, expected: list[int]) -> None:
    np.testing.assert_array_equal(evaluate(expression, TABLE), np.array(expected, dtype=bool))


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "photons.__class__",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "photons[0] > 1",
        "open('a')",
        "photons if frame else frame",
        "f'{photons}' == 'a'",
        "(x := 3) > 1",
        "sqrt(photons, out=photons) > 1",
        "photons is None",
        "9 ** 9 ** 9 ** 9",
        "photons",
        "1 > 0",
        "photons > ",
        "",
        "photons and frame",
        "channel > 3",
        "channel + 1 > 3",
        "sqrt(channel) > 3",
        "sqrt(photons, photons) > 3",
        "photons > 1 " + "or photons > 1 " * 400,
        "b'a' == channel",
        "`photons > 1",
    ],
)
def test_what_is_no_condition_is_refused(expression: str) -> None:
    with pytest.raises((ConfigError, SchemaError), match="filter: "):
        evaluate(expression, TABLE)


def test_a_misspelt_column_gets_a_hint() -> None:
    with pytest.raises(SchemaError, match=r"'photon' in the table\. Did you mean 'photons'"):
        evaluate("photon > 1", TABLE)


@given(
    values=st.lists(st.floats(-1e3, 1e3) | st.just(float("nan")), min_size=1, max_size=30),
    low=st.floats(-1e3, 1e3),
    high=st.floats(-1e3, 1e3),
)
def test_chains_agree_with_python(values: list[float], low: float, high: float) -> None:
    table = pd.DataFrame({"a": values})
    found = evaluate(f"{low!r} <= a < {high!r}", table)
    assert found.tolist() == [low <= value < high for value in values]


def test_keep_where_says_when_nothing_is_left() -> None:
    locs = ns.from_arrays([[0, 0, 1], [1, 1, 1]], photons=[100, 900])
    assert len(ns.keep_where(locs, "photons > 500")) == 1
    with pytest.raises(TooFewPointsError, match="no row of 2 fulfils 'photons > 5000'"):
        ns.keep_where(locs, "photons > 5000")
