from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanospine.core.errors import ConfigError, SchemaError
from nanospine.spines.classes import PRESETS, TYPES, classify, classify_table, preset_frame

NM = st.one_of(st.just(float("nan")), st.floats(0, 6000))


@pytest.mark.parametrize(
    ("length", "head", "neck", "heads", "expected"),
    [
        (1400, 750, 200, 1, "mushroom"),
        (1100, 400, 110, 1, "thin"),
        (600, 480, 450, 1, "stubby"),
        (500, 590, 300, 1, "stubby"),
        (2600, 200, 170, 1, "filopodium"),
        (2600, 450, 110, 1, "thin"),
        (1400, 450, 150, 2, "branched"),
    ],
)
def test_default_preset_names_typical_spines(length, head, neck, heads, expected):
    assert classify(length, head, neck, heads) == expected


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("nanospine", "thin"),
        ("risher", "thin"),
        ("rodriguez", "mushroom"),
        ("imaris", "stubby"),
        ("harris", "thin"),
    ],
)
def test_presets_disagree_on_one_spine_as_documented(preset, expected):
    assert classify(900, 400, 120, preset=preset) == expected


@given(st.sampled_from(sorted(PRESETS)), NM, NM, NM, st.integers(1, 4))
def test_every_spine_gets_one_known_type(preset, length, head, neck, heads):
    assert classify(length, head, neck, heads, preset=preset) in TYPES


@given(st.lists(st.tuples(NM, NM, NM, st.integers(1, 3)), min_size=1, max_size=8))
def test_many_at_once_are_as_one_by_one(rows):
    table = pd.DataFrame(
        rows, columns=["length_nm", "head_diameter_nm", "neck_diameter_nm", "n_heads"]
    )
    assert classify_table(table).tolist() == [classify(*row) for row in rows]


def test_unmeasured_numbers_fall_through_to_the_last_rule():
    nan = float("nan")
    assert classify(nan, nan, nan) == PRESETS["nanospine"].otherwise
    assert classify(600, 700, nan) == "stubby"  # no neck measured: length against head


def test_faults_are_named():
    with pytest.raises(ConfigError, match="known: nanospine"):
        classify(1, 1, 1, preset="nobody")
    with pytest.raises(SchemaError, match="one length"):
        classify([1, 2], [1, 2, 3], 1)
    with pytest.raises(SchemaError, match="negative"):
        classify(-1, 1, 1)
    with pytest.raises(SchemaError, match="neck_diameter_nm"):
        classify_table(pd.DataFrame({"length_nm": [1.0], "head_diameter_nm": [1.0]}))


def test_rules_are_shown_in_order_with_the_rest_last():
    frame = preset_frame("imaris")
    assert frame["rule"].iloc[-1] == "all others"
    assert np.isin(frame["type"], TYPES).all()
